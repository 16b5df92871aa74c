"""Checks that the scanners do not make: their rules do not apply here, or do not exist."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from cruddur_infra.constructs.projection import NETWORK_INTERFACE_ACTIONS
from tests.policies.deployed import OURS, VARIANTS, deployed
from tests.templates.fixtures import synthesize
from tools.synthesis import only, resources

STAGES_ON_AWS = ("dev", "prod")


def stacks(stage: str) -> Mapping[str, Any]:
    return synthesize(stage, seed="true", **({"seed_protected": "true"} if stage == "prod" else {}))


def found(stage: str, resource_type: str) -> Iterator[Any]:
    for template in stacks(stage).values():
        yield from (resource["Properties"] for resource in resources(template, resource_type).values())


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_statement_allows_with_a_wildcard_what_aws_can_restrict(variant: str) -> None:
    policies = deployed(variant).policies
    allows = [
        statement
        for identity in OURS
        for statement in policies.identities.get(identity, ())
        if statement["Effect"] == "Allow"
    ]
    assert not [statement for statement in allows if any("*" in action for action in statement["Action"])]
    everywhere = [set(statement["Action"]) for statement in allows if "*" in statement["Resource"]]
    assert everywhere == [set(NETWORK_INTERFACE_ACTIONS)], "only the actions that Lambda requires on every resource"


@pytest.mark.parametrize("stage", STAGES_ON_AWS)
def test_no_role_has_a_managed_policy_of_aws_and_only_lambda_assumes_the_functions_roles(stage: str) -> None:
    roles = list(found(stage, "AWS::IAM::Role"))
    assert not [role for role in roles if role.get("ManagedPolicyArns")]
    named = [role for role in roles if "RoleName" in role]
    assert len(named) == 3
    for role in named:
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement == {
            "Action": "sts:AssumeRole",
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
        }


@pytest.mark.parametrize("stage", STAGES_ON_AWS)
def test_each_function_has_a_role_of_its_own(stage: str) -> None:
    functions = list(found(stage, "AWS::Lambda::Function"))
    assert len({str(function["Role"]) for function in functions}) == len(functions) == 3
    (permission,) = found(stage, "AWS::Lambda::Permission")
    rule = next(iter(resources(stacks(stage)["main"], "AWS::Events::Rule")))
    assert permission["Principal"] == "events.amazonaws.com"
    assert permission["SourceArn"] == {"Fn::GetAtt": [rule, "Arn"]}, "only its schedule invokes the canary"
    assert not list(found(stage, "AWS::Lambda::Url"))


@pytest.mark.parametrize("stage", STAGES_ON_AWS)
def test_the_network_has_one_route_out(stage: str) -> None:
    network = stacks(stage)["main"]
    for absent in ("InternetGateway", "NatGateway", "VPCPeeringConnection", "Route", "SecurityGroupIngress"):
        assert not resources(network, f"AWS::EC2::{absent}")
    group = only(network, "AWS::EC2::SecurityGroup")["Properties"]
    assert "SecurityGroupIngress" not in group
    (egress,) = group["SecurityGroupEgress"]
    assert (egress["IpProtocol"], egress["FromPort"], egress["ToPort"]) == ("tcp", 443, 443)
    endpoint = only(network, "AWS::EC2::VPCEndpoint")["Properties"]
    assert endpoint["VpcEndpointType"] == "Gateway"
    assert len(endpoint["RouteTableIds"]) == len(resources(network, "AWS::EC2::Subnet")) == 2
    assert {statement["Principal"] for statement in endpoint["PolicyDocument"]["Statement"]} == {"*"}
    (function,) = [each for each in found(stage, "AWS::Lambda::Function") if "VpcConfig" in each]
    assert len(function["VpcConfig"]["SubnetIds"]) == 2
    assert len(function["VpcConfig"]["SecurityGroupIds"]) == 1


def test_in_an_existing_vpc_the_vpc_is_required_instead_of_the_endpoint() -> None:
    existing = deployed("dev in an existing VPC")
    assert existing.policies.endpoint is None
    through = [
        statement["Condition"].get("StringEquals")
        for statement in existing.policies.identities["projection"]
        if statement["Sid"]
        in {"LockConversation", "ReadNewestMessage", "ReadGroupRows", "FindGroupRows", "MoveGroupRows"}
    ]
    assert through == [{"aws:SourceVpc": [existing.data_path["aws:SourceVpc"]]}] * 5
