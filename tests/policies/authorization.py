"""Requests as IAM sees them, the policies that apply to them, and the decisions of MiniStack's evaluator."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ministack.core import iam_evaluator

PARTITION = "aws"
REGION = "us-east-1"
ACCOUNT = "111122223333"

LEADING_KEYS = "dynamodb:LeadingKeys"
ENCLOSING_OPERATION = "dynamodb:EnclosingOperation"
SOURCE_VPCE = "aws:SourceVpce"
SOURCE_VPC = "aws:SourceVpc"
SOURCE_FUNCTION = "lambda:SourceFunctionArn"
SECURE_TRANSPORT = "aws:SecureTransport"

MULTIVALUED = frozenset({LEADING_KEYS, ENCLOSING_OPERATION})

Statement = Mapping[str, Any]
"""A statement whose Action, Resource and condition values are always lists."""

Document = Sequence[Statement]
Context = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Request:
    """One permission that a call needs. Absent and empty condition keys are not in `context`."""

    principal: str
    action: str
    resource: str
    context: Context = field(default_factory=dict)

    @property
    def identity(self) -> tuple[object, ...]:
        """Equal for requests that are the same to IAM."""
        return (self.principal, self.action, self.resource, tuple(sorted(self.context.items())))

    def given(self, **changes: Any) -> "Request":
        """The same request with some parts replaced."""
        return replace(self, **changes)

    def with_key(self, key: str, *values: str) -> "Request":
        """The same request with other values of a condition key, or without the key if there are no values."""
        rest = {name: value for name, value in self.context.items() if name != key}
        return replace(self, context=rest | ({key: values} if values else {}))

    def __str__(self) -> str:
        """For reports."""
        context = ", ".join(f"{key}={'|'.join(values)}" for key, values in sorted(self.context.items()))
        return f"{self.principal}: {self.action} on {self.resource}" + (f" [{context}]" if context else "")


def distinct(requests: Iterable[Request]) -> list[Request]:
    """The requests without repetition, in order of appearance."""
    return list({request.identity: request for request in requests}.values())


ALLOW_EVERYTHING: Document = ({"Effect": "Allow", "Action": ["*"], "Resource": ["*"]},)

ADMINISTRATOR = "administrator"
"""An identity of the account whose own policies allow everything."""

UNBOUNDED_PROJECTION = "unbounded projection"
"""The projection's role with AdministratorAccess attached: it shows what the other policies still deny."""


ENDPOINT = "endpoint policy"
QUEUE = "queue policy"

LOOK_ALIKES = ("role with a longer name", "role of that name in another account")
"""Roles with ARNs similar to the projection's and every permission."""


@dataclass(frozen=True)
class Policies:
    """All policy documents of a stage, resolved: of identities, of the endpoint if it is ours, and of the queue."""

    identities: Mapping[str, Document]
    arns: Mapping[str, str]
    endpoint: Document | None
    endpoint_id: str | None
    queue: Document
    queue_arn: str

    def allow(self, request: Request) -> bool:
        """Whether AWS would allow the request (IAM User Guide, "Policy evaluation logic", within one account)."""
        return all(self.passes(gate, request) for gate in self.gates(request))

    def gates(self, request: Request) -> list[str]:
        """The policies that must allow a request: those of the caller, of the endpoint and of the resource."""
        through_ours = self.endpoint_id is not None and request.context.get(SOURCE_VPCE) == (self.endpoint_id,)
        return [
            request.principal,
            *([ENDPOINT] if through_ours else []),
            *([QUEUE] if request.resource == self.queue_arn else []),
        ]

    def document(self, gate: str) -> Document:
        """The statements of one policy."""
        of_resources = {ENDPOINT: self.endpoint or (), QUEUE: self.queue}
        return of_resources[gate] if gate in of_resources else self.identities[gate]

    def passes(self, gate: str, request: Request) -> bool:
        """Whether one policy allows the request.

        That of the queue can only deny to identities whose own policies allow.
        """
        decision: str = iam_evaluator.evaluate(self._context(request), [_parsed(self.document(gate))]).decision
        return decision != "Deny" if gate == QUEUE else decision == "Allow"

    def _context(self, request: Request) -> iam_evaluator.EvalContext:
        context = {
            key.lower(): list(values) if key in MULTIVALUED else values[0] for key, values in request.context.items()
        }
        return iam_evaluator.EvalContext(
            principal_arn=self.arns[request.principal],
            principal_type="AssumedRole",
            principal_account=ACCOUNT,
            action=request.action,
            resource_arn=request.resource,
            region=REGION,
            source_ip="203.0.113.7",
            secure_transport=request.context.get(SECURE_TRANSPORT, ("true",)) == ("true",),
            service_context=context,
        )


def _parsed(document: Document) -> list[iam_evaluator.ParsedStatement]:
    known = _PARSED.get(id(document))
    if known is None or known[0] is not document:
        statements = iam_evaluator.parse_policy_document({"Statement": [dict(statement) for statement in document]})
        known = _PARSED[id(document)] = (document, statements)
    return known[1]


_PARSED: dict[int, tuple[Document, list[iam_evaluator.ParsedStatement]]] = {}
