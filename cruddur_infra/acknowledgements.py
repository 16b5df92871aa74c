"""Findings of the security scanners that are accepted, each on its own resource and with the reason.

The scanners are cdk-nag, checkov and cfn-lint; tests/policies/test_scanners.py runs them.
"""

import re
from collections.abc import Iterable

from aws_cdk import Acknowledgment, CfnResource, Validations
from constructs import IConstruct

NIST, HIPAA, PCI = "NIST.800.53.R5", "HIPAA.Security", "PCI.DSS.321"


def in_packs(rule: str, packs: Iterable[str]) -> tuple[str, ...]:
    """The names that a rule of cdk-nag has in several packs, such as `HIPAA.Security-IAMNoInlinePolicy`."""
    return tuple(f"{pack}-{rule}" for pack in packs)


def acknowledge(construct: IConstruct, reason: str, *rules: str) -> None:
    """Accept findings on the resource of a construct.

    `rules` are named as the scanners print them. Rules of cdk-nag are acknowledged on the construct. checkov and
    cfn-lint read the template, so their rules become metadata of the resource.
    """
    resource = construct if isinstance(construct, CfnResource) else construct.node.default_child
    assert isinstance(resource, CfnResource)
    checkov = [rule for rule in rules if rule.startswith("CKV")]
    cfn_lint = [rule for rule in rules if re.fullmatch(r"[EWI]\d{4}", rule)]
    of_packs = [rule for rule in rules if rule not in (*checkov, *cfn_lint)]
    if checkov:
        skipped = (resource.get_metadata("checkov") or {}).get("skip", [])
        added = [{"id": rule, "comment": reason} for rule in checkov]
        resource.add_metadata("checkov", {"skip": [*skipped, *added]})
    if cfn_lint:
        ignored = (resource.get_metadata("cfn-lint") or {}).get("config", {}).get("ignore_checks", [])
        resource.add_metadata("cfn-lint", {"config": {"ignore_checks": [*ignored, *cfn_lint]}})
    if of_packs:
        # One call for all rules: each call is a round trip to Node.
        Validations.of(resource).acknowledge(
            *(Acknowledgment(id=f"{rule.partition('-')[0]}::{rule}", reason=reason) for rule in of_packs)
        )
