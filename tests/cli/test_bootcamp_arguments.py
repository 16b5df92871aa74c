"""The bootcamp's arguments mean the same here, and no other word means production."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruddur_cli import bootcamp_arguments, main

COMMANDS = main._commands(main._built())


def modern(words: list[str]) -> list[str]:
    return bootcamp_arguments.modern(words, COMMANDS)


pytestmark = pytest.mark.check


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("seed prod", "seed --prod"),
        ("schema-load prod", "schema-load --prod"),
        ("list-tables prod", "list-tables --prod"),
        ("scan prod", "scan --prod"),
        ("drop cruddur-messages prod", "drop cruddur-messages --prod"),
        ("patterns/list-conversations", "list-conversations"),
        ("patterns/get-conversation prod", "get-conversation --prod"),
        ("seed prod --yes --json", "seed --prod --yes --json"),
        ("watch andrewbrown prod", "watch andrewbrown --prod"),
        ("add-member 1 mina prod", "add-member 1 mina --prod"),
        ("seed nonprod", "seed nonprod"),
        ("drop prod cruddur-messages", "drop prod cruddur-messages"),
        ("scan --table prod", "scan --table prod"),
        ("add-member 1 mina --of prod", "add-member 1 mina --of prod"),
        ("rebuild prod --dry-run", "rebuild --prod --dry-run"),
        ("seed PROD", "seed PROD"),
        ("send 1 prod", "send 1 prod"),
        ("start prod", "start prod"),
        ("edit bayko prod", "edit bayko prod"),
        ("delete bayko prod", "delete bayko --prod"),
        ("", ""),
    ],
)
def test_the_bootcamps_arguments(old: str, new: str) -> None:
    assert modern(old.split()) == new.split()


@given(st.lists(st.text(max_size=8) | st.just("prod")))
def test_at_most_one_word_is_changed(words: list[str]) -> None:
    changed = [(old, new) for old, new in zip(["seed", *words], modern(["seed", *words]), strict=True) if old != new]
    assert changed in ([], [("prod", "--prod")])


@given(st.sampled_from(["send", "start", "edit", "nonsense"]), st.text(max_size=8))
def test_free_text_never_means_production(command: str, word: str) -> None:
    assert modern([command, word, "prod"]) == [command, word, "prod"]
