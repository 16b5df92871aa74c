"""The page that a run writes: each claim, what was expected, what was seen."""

from collections.abc import Iterable, Mapping

from aws_proof.claims import Claim, Outcome, Result
from aws_proof.journal import Journal


def page(journal: Journal, claims: Mapping[str, Claim], *, place: str, versions: Mapping[str, str]) -> str:
    """The page in Markdown; it shows only the last four digits of the account."""
    counts = {result: sum(one.result is result for one in journal.outcomes) for result in Result}
    facts = {
        "where": place,
        "account": journal.account,
        "region": journal.region,
        "begun": journal.begun,
        **versions,
        "claims": ", ".join(f"{count} {result}" for result, count in counts.items() if count),
    }
    account = f"...{journal.account[-4:]}"
    text = "\n".join(
        [
            f"# Claims, tested on {place}",
            "",
            "| | |",
            "|---|---|",
            *(f"| {name} | {_cell(value)} |" for name, value in facts.items()),
            "",
            "| in | claim | expected | result | seen | seconds |",
            "|---|---|---|---|---|---|",
            *(_row(outcome, claims) for outcome in journal.outcomes),
            "",
        ]
    )
    # What was seen may contain the number too.
    return text.replace(journal.account, account)


def described(claims: Iterable[Claim]) -> str:
    """The section of docs/aws-proof.md for every claim."""
    return "\n".join(
        f"### {one.id}\n\n{one.says}\n\n*Tested:* {one.how}\n\n*On the emulator:* {_on_emulator(one)}\n"
        for one in claims
    )


def has_failed(journal: Journal) -> bool:
    """Whether a claim differs, or was not run because another differs."""
    return any(one.result in (Result.DIFFERS, Result.NOT_RUN) for one in journal.outcomes)


def _row(outcome: Outcome, claims: Mapping[str, Claim]) -> str:
    cells = (outcome.phase, outcome.claim, claims[outcome.claim].says, outcome.result, outcome.seen)
    return f"| {' | '.join(map(_cell, cells))} | {outcome.seconds:.0f} |"


def _on_emulator(claim: Claim) -> str:
    reason = claim.never or claim.not_on_emulator
    return f"not shown: {reason}." if reason else "shown."


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
