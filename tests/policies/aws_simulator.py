"""AWS's policy simulator, asked about every call of this app and every probe of tests/policies."""

import json
from collections import defaultdict
from typing import Any

from tests.policies.authorization import QUEUE, Document, Request
from tests.policies.conftest import Case

ACTIONS_AT_ONCE = 50
EXAMPLES = 3

CONTEXT_TYPES = {
    "dynamodb:LeadingKeys": "stringList",
    "dynamodb:EnclosingOperation": "stringList",
    "aws:SecureTransport": "boolean",
}
"""Of the condition keys whose type is not `string` (Service Authorization Reference)."""

Question = tuple[str, str, frozenset[tuple[str, tuple[str, ...]]]]
"""A policy, a resource and a context: one call of the simulator decides on many actions for them."""


def differences(iam: Any, case: Case) -> list[str]:
    """The requests that the policies of caller, endpoint and resource together do not decide as expected."""
    asked: dict[Question, dict[str, list[Request]]] = defaultdict(lambda: defaultdict(list))
    for request in (*case.allowed, *case.denied):
        context = dict(request.context) | {"aws:PrincipalArn": (case.policies.arns[request.principal],)}
        for gate in case.policies.gates(request):
            asked[gate, request.resource, frozenset(context.items())][request.action].append(request)
    refused = {
        request.identity
        for question, actions in asked.items()
        for action, decision in _decisions(iam, case.policies.document(question[0]), question, sorted(actions))
        # The queue's own policy can only deny to identities whose own policies allow.
        if (decision == "explicitDeny" if question[0] == QUEUE else decision != "allowed")
        for request in actions[action]
    }
    wrong = [f"denied: {request}" for request in case.allowed if request.identity in refused]
    wrong += [f"allowed: {request}" for request in case.denied if request.identity not in refused]
    return [*wrong[:EXAMPLES], f"and {len(wrong) - EXAMPLES} more"] if len(wrong) > EXAMPLES else wrong


def _decisions(iam: Any, document: Document, question: Question, actions: list[str]) -> list[tuple[str, str]]:
    _, resource, context = question
    # An identity policy has no principal: the context names the caller.
    statements = [{name: part for name, part in one.items() if name != "Principal"} for one in document]
    entries = [
        {"ContextKeyName": key, "ContextKeyValues": [*values], "ContextKeyType": CONTEXT_TYPES.get(key, "string")}
        for key, values in sorted(context)
    ]
    return [
        (result["EvalActionName"], result["EvalDecision"])
        for first in range(0, len(actions), ACTIONS_AT_ONCE)
        for page in iam.get_paginator("simulate_custom_policy").paginate(
            PolicyInputList=[json.dumps({"Version": "2012-10-17", "Statement": statements})],
            ActionNames=actions[first : first + ACTIONS_AT_ONCE],
            ResourceArns=[resource],
            ContextEntries=entries,
        )
        for result in page["EvaluationResults"]
    ]
