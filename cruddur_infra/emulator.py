"""Removes from the stage `local` what the emulator does not support.

A condition on a key that it does not know would deny every request. A resource that it refuses to create would stop the
deployment. In a filter it evaluates `exists` on the attribute itself, where AWS evaluates it on the leaf.
"""

import json
from collections.abc import Mapping
from typing import Any

import jsii
from aws_cdk import CfnResource, IAspect, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import IConstruct

UNSEEN_KEYS = {("Null", "dynamodb:LeadingKeys"), ("StringEquals", "aws:SourceVpce")}
"""Operator and key of the conditions that it cannot evaluate."""

ABSENT = [{"exists": False}]


@jsii.implements(IAspect)
class ForTheEmulator:
    """An aspect that visits every construct of the app."""

    def visit(self, node: IConstruct) -> None:
        """Remove what the emulator does not support."""
        if isinstance(node, iam.CfnRole):
            for number, policy in enumerate(Stack.of(node).resolve(node.policies) or []):
                _without_unseen_keys(node, f"Policies.{number}.PolicyDocument", policy["policyDocument"])
        elif isinstance(node, iam.CfnManagedPolicy | iam.CfnPolicy):
            _without_unseen_keys(node, "PolicyDocument", Stack.of(node).resolve(node.policy_document))
        elif isinstance(node, lambda_.CfnEventSourceMapping):
            for number, given in enumerate(Stack.of(node).resolve(node.filter_criteria)["filters"]):
                pattern = json.dumps(_without_leaf(json.loads(given["pattern"])), separators=(",", ":"))
                if pattern != given["pattern"]:
                    node.add_property_override(f"FilterCriteria.Filters.{number}.Pattern", pattern)
        elif isinstance(node, logs.CfnQueryDefinition) or (
            isinstance(node, cloudwatch.CfnAlarm) and node.metrics is not None
        ):
            assert node.node.scope is not None
            node.node.scope.node.try_remove_child(node.node.id)


def _without_unseen_keys(resource: CfnResource, path: str, document: Mapping[str, Any]) -> None:
    for number, statement in enumerate(document["Statement"]):
        conditions = statement.get("Condition", {})
        unseen = [operator for operator, keys in conditions.items() if {(operator, key) for key in keys} <= UNSEEN_KEYS]
        at = f"{path}.Statement.{number}.Condition"
        if unseen and len(unseen) == len(conditions):
            resource.add_property_deletion_override(at)
        else:
            for operator in unseen:
                resource.add_property_deletion_override(f"{at}.{operator}")


def _without_leaf(pattern: Any) -> Any:
    if not isinstance(pattern, dict):
        return pattern
    return {
        name: ABSENT if expected == {"S": ABSENT} else _without_leaf(expected) for name, expected in pattern.items()
    }
