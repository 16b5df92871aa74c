"""Every change that removes a part of a policy or widens it, one at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.policies.authorization import ENDPOINT, QUEUE, Document, Policies, Statement
from tests.policies.probes import other_actions


@dataclass(frozen=True)
class Mutant:
    """The policies with one change in the policy at a gate; `name` says which."""

    gate: str
    name: str
    policies: Policies

    def __str__(self) -> str:
        """For reports."""
        return f"{self.gate}: {self.name}"


def mutants(policies: Policies, identities: Sequence[str]) -> Iterator[Mutant]:
    """All mutants of the policies of these identities, of the endpoint and of the queue."""
    for identity in identities:
        for name, document in _changed(policies.identities[identity]):
            yield Mutant(identity, name, replace(policies, identities={**policies.identities, identity: document}))
    for name, document in _changed(policies.endpoint or ()):
        yield Mutant(ENDPOINT, name, replace(policies, endpoint=document))
    for name, document in _changed(policies.queue):
        yield Mutant(QUEUE, name, replace(policies, queue=document))


def _changed(document: Document) -> Iterator[tuple[str, Document]]:
    for number, statement in enumerate(document):
        before, after = document[:number], document[number + 1 :]
        sid = statement["Sid"]
        yield f"{sid} removed", (*before, *after)
        for name, changed in (*_without(statement), *_wider(statement)):
            yield f"{sid} {name}", (*before, changed, *after)


def _without(statement: Statement) -> Iterator[tuple[str, Statement]]:
    """The statement without one action or resource of several, one value of a condition, one condition."""
    for part in ("Action", "Resource"):
        values = statement[part]
        if len(values) > 1:
            for value in values:
                yield f"without {value}", {**statement, part: [other for other in values if other != value]}
    for operator, key, values in _conditions(statement):
        yield f"without {operator} {key}", _with_condition(statement, operator, key, [])
        if len(values) > 1:
            for value in values:
                rest = [other for other in values if other != value]
                yield f"without {value} in {key}", _with_condition(statement, operator, key, rest)


def _wider(statement: Statement) -> Iterator[tuple[str, Statement]]:
    """The statement with a part of one of its values replaced by a wildcard."""
    for part, widened in (("Action", _wider_actions), ("Resource", _wider_resources)):
        for value in statement[part]:
            for wide in widened(value):
                values = [wide if other == value else other for other in statement[part]]
                yield f"with {wide} for {value}", {**statement, part: values}
    for operator, key, values in _conditions(statement):
        if operator.startswith("ForAllValues:"):
            any_value = operator.replace("ForAllValues:", "ForAnyValue:")
            yield (
                f"with {any_value} for {operator}",
                _with_condition(_with_condition(statement, operator, key, []), any_value, key, values),
            )
        if "Like" in operator or "Arn" in operator:
            for value in values:
                for wide in _wider_resources(value) if value.startswith("arn:") else _wider_keys(value):
                    new = [wide if other == value else other for other in values]
                    yield f"with {wide} for {value} in {key}", _with_condition(statement, operator, key, new)


def _wider_keys(pattern: str) -> list[str]:
    """With half of its prefix, and with none."""
    prefix, _, made_up = pattern.partition("#")
    return [f"{prefix}#*" if made_up.strip("*") else f"{prefix.rstrip('*')}*", "*"]


def _wider_actions(action: str) -> Iterator[str]:
    """Wildcards that cover the action and others that AWS has."""
    service, _, name = action.partition(":")
    if name == "*":
        return
    yield f"{service}:*"
    for length in range(len(name), 0, -1):
        beginning = f"{service}:{name[:length]}"
        if any(other.startswith(beginning) for other in other_actions(action)):
            yield f"{beginning}*"
            return


def _wider_resources(resource: str) -> Iterator[str]:
    if resource == "*":
        return
    yield "*"
    arn, partition, service, region, account, rest = resource.split(":", 5)
    if region not in ("", "*"):
        yield ":".join((arn, partition, service, "*", account, rest))
    if account != "*":
        yield ":".join((arn, partition, service, region, "*", rest))
    yield ":".join((arn, partition, service, region, account, "*"))
    named = rest.removesuffix(":*")
    if not rest.endswith("/*"):
        yield ":".join((arn, partition, service, region, account, f"{named}*"))
        head = max(named.rfind("/"), named.rfind(":"))
        if head >= 0:
            yield ":".join((arn, partition, service, region, account, f"{named[: head + 1]}*"))


def _conditions(statement: Statement) -> list[tuple[str, str, list[str]]]:
    return [
        (operator, key, values) for operator, keys in statement["Condition"].items() for key, values in keys.items()
    ]


def _with_condition(statement: Statement, operator: str, key: str, values: list[str]) -> Statement:
    keys = {**statement["Condition"].get(operator, {}), key: values}
    conditions: dict[str, Any] = {**statement["Condition"], operator: {k: v for k, v in keys.items() if v}}
    return {**statement, "Condition": {name: kept for name, kept in conditions.items() if kept}}


def without(document: dict[str, Any], action: str, sid: str | None = None) -> dict[str, Any]:
    """A policy's text that does not allow one action, in one statement or in any; one without actions is removed."""
    statements = []
    for one in document["Statement"]:
        actions = one["Action"] if isinstance(one["Action"], list) else [one["Action"]]
        is_meant = one["Effect"] == "Allow" and sid in (None, one["Sid"])
        if kept := [other for other in actions if not (is_meant and other == action)]:
            statements.append({**one, "Action": kept})
    assert str(statements).count(action) < str(document).count(action)
    return {**document, "Statement": statements}
