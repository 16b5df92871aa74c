"""The network of the projection: isolated subnets with the DynamoDB gateway endpoint as the only way out."""

from collections.abc import Sequence

from aws_cdk import Annotations, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from cruddur_infra.acknowledgements import HIPAA, NIST, PCI, acknowledge, in_packs
from cruddur_infra.settings import SettingsError
from cruddur_messages import schema


class Network(Construct):
    """Subnets of a VPC and a security group for a function that calls DynamoDB.

    `data_path` is the condition that a request for table data comes from this network.
    """

    vpc: ec2.IVpc
    subnets: ec2.SubnetSelection
    data_path: dict[str, str]

    def _make_security_group(self) -> None:
        self.security_group = ec2.SecurityGroup(
            self,
            "FunctionSecurityGroup",
            vpc=self.vpc,
            description="The projection: HTTPS out, nothing in",
            allow_all_outbound=False,
        )
        self.security_group.add_egress_rule(
            ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "DynamoDB; its addresses are public, the way there is the endpoint"
        )


class OwnNetwork(Network):
    """A VPC with two isolated subnets and a gateway endpoint, through which one role can call one table.

    `flow_log_days` is the retention of its flow logs, None for no flow logs. `keep_flow_logs` retains them when the
    stack is deleted.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        cidr: str,
        table_arn: str,
        role_arn: str,
        flow_log_days: int | None,
        keep_flow_logs: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        vpc = self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(cidr),
            max_azs=2,
            nat_gateways=0,
            subnet_configuration=[
                ec2.SubnetConfiguration(name="Isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
            ],
            # CDK would use a Node function with a broad role for it (docs/decisions/0006).
            restrict_default_security_group=False,
        )
        self.subnets = ec2.SubnetSelection(subnets=vpc.isolated_subnets)
        endpoint = vpc.add_gateway_endpoint(
            "DynamoDbEndpoint", service=ec2.GatewayVpcEndpointAwsService.DYNAMODB, subnets=[self.subnets]
        )
        for statement in _projection_only(table_arn, role_arn):
            endpoint.add_to_policy(statement)
        self.data_path = {"aws:SourceVpce": endpoint.vpc_endpoint_id}
        self._make_security_group()
        if flow_log_days is not None:
            _log_traffic(vpc, days=flow_log_days, keep=keep_flow_logs)
        else:
            acknowledge(
                vpc,
                "Only this function is in the VPC. -c flow_logs=true logs its traffic, as prod does.",
                "AwsSolutions-VPC7",
                *in_packs("VPCFlowLogsEnabled", (NIST, HIPAA, PCI)),
            )
        acknowledge(
            vpc,
            "Nothing uses the default group. Closing it would take another function with a broad role "
            "(docs/decisions/0006).",
            *in_packs("VPCDefaultSecurityGroupClosed", (NIST, HIPAA, PCI)),
        )


class ExistingNetwork(Network):
    """An existing VPC, which is looked up. Its owner is responsible for its endpoint.

    Raises SettingsError if it has no subnet for the function.
    """

    def __init__(self, scope: Construct, construct_id: str, *, vpc_id: str, subnet_ids: Sequence[str]) -> None:
        super().__init__(scope, construct_id)
        self.vpc = ec2.Vpc.from_lookup(self, "Vpc", vpc_id=vpc_id)
        subnets: list[ec2.ISubnet] = [
            ec2.Subnet.from_subnet_id(self, f"Subnet{number}", subnet_id)
            for number, subnet_id in enumerate(subnet_ids, start=1)
        ]
        for subnet in subnets:
            Annotations.of(subnet).acknowledge_warning(
                "@aws-cdk/aws-ec2:noSubnetRouteTableId", "This app does not change the routes of an existing VPC"
            )
        subnets = subnets or self.vpc.isolated_subnets or self.vpc.private_subnets
        if not subnets:
            raise SettingsError(
                f"vpc_id is {vpc_id}, which has no isolated or private subnet; set subnet_ids to those to use"
            )
        self.subnets = ec2.SubnetSelection(subnets=subnets)
        self.data_path = {"aws:SourceVpc": vpc_id}
        self._make_security_group()


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
    flow_log = vpc.add_flow_log("FlowLog", destination=ec2.FlowLogDestination.to_cloud_watch_logs(log_group))
    acknowledge(
        log_group,
        "Holds addresses of these subnets. CloudWatch Logs encrypts it with a key of its own.",
        *in_packs("CloudWatchLogGroupEncrypted", (NIST, HIPAA, PCI)),
        "CKV_AWS_158",
    )
    acknowledge(
        flow_log.node.find_child("IAMRole").node.find_child("DefaultPolicy"),
        "The policy belongs to this role only, and is read, changed and deleted with it.",
        *in_packs("IAMNoInlinePolicy", (NIST, HIPAA, PCI)),
    )


def _projection_only(table_arn: str, role_arn: str) -> list[iam.PolicyStatement]:
    """What the endpoint permits: the projection's calls on this table and its index.

    A gateway endpoint accepts only the principal `*`, so a condition names the role (VPC guide, "Control access to VPC
    endpoints using endpoint policies", "Principals for gateway endpoints").
    """
    return [
        iam.PolicyStatement(
            sid=sid,
            principals=[iam.StarPrincipal()],
            actions=actions,
            resources=[resource],
            conditions={"ArnEquals": {"aws:PrincipalArn": role_arn}},
        )
        for sid, resource, actions in (
            (
                "ProjectionOnTheTable",
                table_arn,
                [
                    "dynamodb:BatchGetItem",
                    "dynamodb:DeleteItem",
                    "dynamodb:GetItem",
                    "dynamodb:PutItem",
                    "dynamodb:Query",
                    "dynamodb:UpdateItem",
                ],
            ),
            ("ProjectionOnTheIndex", f"{table_arn}/index/{schema.INDEX_NAME}", ["dynamodb:Query"]),
        )
    ]
