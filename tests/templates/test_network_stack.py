"""Isolated subnets in two zones; the DynamoDB gateway endpoint on their route tables is the only route out."""

from collections.abc import Callable

import pytest

from cruddur_infra.settings import SettingsError
from tests.policies.authorization import ACCOUNT, REGION
from tests.policies.deployed import EXISTING_VPC, in_existing_vpc
from tests.templates.fixtures import each_stage
from tools.synthesis import Templates, function, only, resources


@each_stage
def test_the_endpoint_is_the_only_route_out(stage: str, templates: Callable[..., Templates]) -> None:
    template = templates(stage)["main"]
    subnets = resources(template, "AWS::EC2::Subnet")
    zones = [str(subnet["Properties"]["AvailabilityZone"]) for subnet in subnets.values()]
    assert len(subnets) == len(set(zones)) == 2
    ways_out = ("NatGateway", "InternetGateway", "Route", "EIP", "EgressOnlyInternetGateway", "VPCPeeringConnection")
    for forbidden in (*ways_out, "SecurityGroupIngress"):
        assert not resources(template, f"AWS::EC2::{forbidden}")
    endpoint = only(template, "AWS::EC2::VPCEndpoint")["Properties"]
    assert endpoint["VpcEndpointType"] == "Gateway"
    assert endpoint["ServiceName"]["Fn::Join"][1][-1] == ".dynamodb"
    associations = resources(template, "AWS::EC2::SubnetRouteTableAssociation").values()
    tables_of_subnets = {
        a["Properties"]["SubnetId"]["Ref"]: a["Properties"]["RouteTableId"]["Ref"] for a in associations
    }
    assert set(tables_of_subnets) == set(subnets)
    assert {table["Ref"] for table in endpoint["RouteTableIds"]} == set(tables_of_subnets.values())
    group = only(template, "AWS::EC2::SecurityGroup")["Properties"]
    assert "SecurityGroupIngress" not in group
    (egress,) = group["SecurityGroupEgress"]
    assert (egress["IpProtocol"], egress["FromPort"], egress["ToPort"]) == ("tcp", 443, 443)
    configuration = function(template, "projection")["VpcConfig"]
    assert {subnet["Ref"] for subnet in configuration["SubnetIds"]} == set(subnets)
    assert len(configuration["SecurityGroupIds"]) == 1


@each_stage
def test_cdk_adds_no_function_of_its_own(stage: str, templates: Callable[..., Templates]) -> None:
    allowed = {"main": 1 if stage == "local" else 2, "seed": 1}
    for part, template in templates(stage).items():
        assert len(resources(template, "AWS::Lambda::Function")) == allowed.get(part, 0)


def test_an_existing_vpc_without_a_subnet_for_the_function_is_refused() -> None:
    with pytest.raises(
        SettingsError, match=f"^vpc_id is {EXISTING_VPC}, which has no .*; set subnet_ids to those to use$"
    ):
        in_existing_vpc([])


def test_flow_logs_are_kept_as_long_as_other_logs(templates: Callable[..., Templates]) -> None:
    groups = resources(templates("prod", log_retention_days="731")["main"], "AWS::Logs::LogGroup").values()
    assert [group["Properties"]["RetentionInDays"] for group in groups] == [731, 731, 731]


@each_stage
def test_no_resource_with_a_fixed_name_is_retained(stage: str, templates: Callable[..., Templates]) -> None:
    """Except the table, which has a stack of its own for this reason."""
    names = {"AWS::Logs::LogGroup": "LogGroupName", "AWS::SQS::Queue": "QueueName", "AWS::IAM::Role": "RoleName"}
    for part, template in templates(stage).items():
        for resource in template["Resources"].values():
            is_named = names.get(resource["Type"]) in resource.get("Properties", {})
            assert not (is_named and resource.get("DeletionPolicy", "Delete") != "Delete"), part


def test_a_bound_stack_has_the_same_network_and_looks_nothing_up(
    templates: Callable[..., Templates],
) -> None:
    """With account and region set, CDK would look up the account's availability zones."""
    from aws_cdk import Environment

    from cruddur_infra.stages import load
    from tools import synthesis

    bound = synthesis.of_settings(load()["dev"], env=Environment(account=ACCOUNT, region=REGION))["main"]
    for resource_type in ("AWS::EC2::Subnet", "AWS::EC2::VPC"):
        assert resources(bound, resource_type) == resources(templates("dev")["main"], resource_type)
