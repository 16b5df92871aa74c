"""Isolated subnets in two zones; the DynamoDB gateway endpoint on their route tables is the only way out."""

from collections.abc import Callable

import pytest

from cruddur_infra.template import Templates, only, resources
from tests.templates.fixtures import STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_subnets_are_isolated_and_the_endpoint_is_on_their_routes(
    stage: str, templates: Callable[..., Templates]
) -> None:
    template = templates(stage)["network"]
    subnets = resources(template, "AWS::EC2::Subnet")
    zones = [str(subnet["Properties"]["AvailabilityZone"]) for subnet in subnets.values()]
    assert len(subnets) == len(set(zones)) == 2
    for forbidden in ("NatGateway", "InternetGateway", "Route", "EIP", "EgressOnlyInternetGateway"):
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


@pytest.mark.parametrize(("stage", "count"), [("local", 0), ("dev", 0), ("prod", 1)])
def test_flow_logs_are_kept_in_prod(stage: str, count: int, templates: Callable[..., Templates]) -> None:
    assert len(resources(templates(stage)["network"], "AWS::EC2::FlowLog")) == count


@pytest.mark.parametrize("stage", STAGES)
def test_no_function_is_deployed_behind_our_back(stage: str, templates: Callable[..., Templates]) -> None:
    allowed = {"projection": 1, "seed": 1}
    for part, template in templates(stage).items():
        assert len(resources(template, "AWS::Lambda::Function")) == allowed.get(part, 0)
