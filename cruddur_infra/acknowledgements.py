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
    """Accept findings on the resource that a construct stands for.

    `rules` are named as the scanners print them. What cdk-nag's rules need stays with the construct; checkov and
    cfn-lint read the template, and so theirs becomes metadata of the resource there.
    """
    resource = construct if isinstance(construct, CfnResource) else construct.node.default_child
    assert isinstance(resource, CfnResource)
    for rule in rules:
        if rule.startswith("CKV"):
            skipped = (resource.get_metadata("checkov") or {}).get("skip", [])
            resource.add_metadata("checkov", {"skip": [*skipped, {"id": rule, "comment": reason}]})
        elif re.fullmatch(r"[EWI]\d{4}", rule):
            ignored = (resource.get_metadata("cfn-lint") or {}).get("config", {}).get("ignore_checks", [])
            resource.add_metadata("cfn-lint", {"config": {"ignore_checks": [*ignored, rule]}})
        else:
            pack = rule.partition("-")[0]
            Validations.of(resource).acknowledge(Acknowledgment(id=f"{pack}::{rule}", reason=reason))
