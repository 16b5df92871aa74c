"""The network of the projection: isolated subnets with the DynamoDB gateway endpoint as the only way out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import Annotations, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from cruddur_infra.constructs.statements import Conditions, allow
from cruddur_infra.settings import SettingsError
from cruddur_messages import schema


@dataclass(frozen=True, kw_only=True)
class Network:
    """Where a function that calls DynamoDB runs: subnets of a VPC, and a security group.

    `data_path` is the condition that a request for table data comes from this network.
    """

    vpc: ec2.IVpc
    subnets: ec2.SubnetSelection
    security_group: ec2.ISecurityGroup
    data_path: Mapping[str, str]


def own_network(
    scope: Construct,
    construct_id: str,
    *,
    cidr: str,
    table_arn: str,
    role_arn: str,
    flow_log_days: int | None,
    keep_flow_logs: bool,
) -> Network:
    """A VPC with two isolated subnets and a gateway endpoint, through which one role can call one table.

    `flow_log_days` is the retention of its flow logs, None for no flow logs. `keep_flow_logs` retains them when the
    stack is deleted.
    """
    network = Construct(scope, construct_id)
    vpc = ec2.Vpc(
        network,
        "Vpc",
        ip_addresses=ec2.IpAddresses.cidr(cidr),
        max_azs=2,
        nat_gateways=0,
        subnet_configuration=[ec2.SubnetConfiguration(name="Isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)],
        # CDK would use a Node function with a broad role for it (docs/decisions/0006).
        restrict_default_security_group=False,
    )
    subnets = ec2.SubnetSelection(subnets=vpc.isolated_subnets)
    endpoint = vpc.add_gateway_endpoint(
        "DynamoDbEndpoint", service=ec2.GatewayVpcEndpointAwsService.DYNAMODB, subnets=[subnets]
    )
    for statement in _projection_only(table_arn, role_arn):
        endpoint.add_to_policy(statement)
    if flow_log_days is not None:
        _log_traffic(vpc, days=flow_log_days, keep=keep_flow_logs)
    return Network(
        vpc=vpc,
        subnets=subnets,
        security_group=_security_group(network, vpc),
        data_path={"aws:SourceVpce": endpoint.vpc_endpoint_id},
    )


def existing_network(scope: Construct, construct_id: str, *, vpc_id: str, subnet_ids: Sequence[str]) -> Network:
    """An existing VPC, which is looked up. Its owner is responsible for its endpoint.

    Raises SettingsError if it has no subnet for the function.
    """
    network = Construct(scope, construct_id)
    vpc = ec2.Vpc.from_lookup(network, "Vpc", vpc_id=vpc_id)
    subnets: list[ec2.ISubnet] = [
        ec2.Subnet.from_subnet_id(network, f"Subnet{number}", subnet_id)
        for number, subnet_id in enumerate(subnet_ids, start=1)
    ]
    for subnet in subnets:
        Annotations.of(subnet).acknowledge_warning(
            "@aws-cdk/aws-ec2:noSubnetRouteTableId", "This app does not change the routes of an existing VPC"
        )
    subnets = subnets or vpc.isolated_subnets or vpc.private_subnets
    if not subnets:
        raise SettingsError(
            f"vpc_id is {vpc_id}, which has no isolated or private subnet; set subnet_ids to those to use"
        )
    return Network(
        vpc=vpc,
        subnets=ec2.SubnetSelection(subnets=subnets),
        security_group=_security_group(network, vpc),
        data_path={"aws:SourceVpc": vpc_id},
    )


def _security_group(network: Construct, vpc: ec2.IVpc) -> ec2.SecurityGroup:
    group = ec2.SecurityGroup(
        network,
        "FunctionSecurityGroup",
        vpc=vpc,
        description="The projection: HTTPS out, nothing in",
        allow_all_outbound=False,
    )
    group.add_egress_rule(
        ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "DynamoDB; its addresses are public, the way there is the endpoint"
    )
    return group


def _log_traffic(vpc: ec2.Vpc, *, days: int, keep: bool) -> None:
    log_group = logs.LogGroup(
        vpc,
        "FlowLogs",
        retention=logs.RetentionDays.INFINITE,
        removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if keep else RemovalPolicy.DESTROY,
    )
    # The construct takes an enum instead of a number of days.
    resource = log_group.node.default_child
    assert isinstance(resource, logs.CfnLogGroup)
    resource.retention_in_days = days
    vpc.add_flow_log("FlowLog", destination=ec2.FlowLogDestination.to_cloud_watch_logs(log_group))


def _projection_only(table_arn: str, role_arn: str) -> list[iam.PolicyStatement]:
    """What the endpoint permits: the projection's calls on this table and its index.

    A gateway endpoint accepts only the principal `*`, so a condition names the role (VPC guide, "Control access to VPC
    endpoints using endpoint policies", "Principals for gateway endpoints").
    """
    only_the_projection: Conditions = {"ArnEquals": {"aws:PrincipalArn": role_arn}}
    on_table = ["BatchGetItem", "DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem"]
    index_arn = f"{table_arn}/index/{schema.INDEX_NAME}"
    statements = [
        allow("ProjectionOnTheTable", [f"dynamodb:{name}" for name in on_table], [table_arn], only_the_projection),
        allow("ProjectionOnTheIndex", ["dynamodb:Query"], [index_arn], only_the_projection),
    ]
    for statement in statements:
        statement.add_principals(iam.StarPrincipal())
    return statements
