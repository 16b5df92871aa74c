"""A second, independent evaluator of the same requests: `@cloud-copilot/iam-simulate` from npm.

It also knows the Service Authorization Reference: the actions, their kinds of resources, and their condition keys. It
is licensed under the AGPL, and only the tests use it.
"""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cruddur_local import paths
from tests.policies.authorization import ENDPOINT, MULTIVALUED, QUEUE, Document, Policies, Request

PROGRAM = Path(__file__).with_suffix(".mjs")


@dataclass(frozen=True)
class Verdict:
    """The simulator's decision. `ignored` are condition keys that AWS does not have for the action, in lower case.

    `error` says why a request is impossible, such as an action that AWS does not have on that resource.
    """

    allowed: bool
    ignored: tuple[str, ...]
    error: str | None


def judge(policies: Policies, requests: Sequence[Request]) -> list[Verdict]:
    """Evaluate each request against all policies that apply."""
    documents = {name: _document(document) for name, document in policies.identities.items()}
    documents[QUEUE] = _document(policies.queue, {"Principal": "*"})
    if policies.endpoint is not None:
        documents[ENDPOINT] = _document(policies.endpoint, {"Principal": "*"})
    answered = subprocess.run(
        [str(paths.ENVIRONMENT_BIN / "node"), str(PROGRAM)],
        input=json.dumps({"documents": documents, "requests": [_request(policies, request) for request in requests]}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert answered.returncode == 0, answered.stderr[-2000:]
    return [
        Verdict(found["allowed"], tuple(sorted(found["ignored"])), found["error"])
        for found in json.loads(answered.stdout)
    ]


def _document(document: Document, extra: dict[str, object] | None = None) -> dict[str, object]:
    statements = [
        {name: value for name, value in statement.items() if value and name != "Sid"} | (extra or {})
        for statement in document
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def _request(policies: Policies, request: Request) -> dict[str, object]:
    gates = policies.gates(request)
    arn = policies.arns[request.principal]
    account = request.resource.split(":")[4] if request.resource.startswith("arn:") else arn.split(":")[4]
    return {
        "principal": arn,
        "account": account,
        "action": request.action,
        "resource": request.resource,
        "context": {
            "aws:SecureTransport": "true",
            "aws:PrincipalArn": arn,
            **{key: list(values) if key in MULTIVALUED else values[0] for key, values in request.context.items()},
        },
        "identity": request.principal,
        "endpoint": ENDPOINT if ENDPOINT in gates else None,
        "resourcePolicy": QUEUE if QUEUE in gates else None,
    }
