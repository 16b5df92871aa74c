"""The synthesized policies of a stage, with CloudFormation's intrinsics resolved to values as on AWS."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cruddur_infra import stages
from cruddur_messages import schema
from tests.policies.authorization import (
    ACCOUNT,
    ADMINISTRATOR,
    ALLOW_EVERYTHING,
    LOOK_ALIKES,
    PARTITION,
    REGION,
    UNBOUNDED_PROJECTION,
    Document,
    Policies,
    Statement,
)
from tests.templates.fixtures import synthesize
from tools.synthesis import Template, Templates, function, log_group, of_settings, only, resources, role

PROJECTION = "projection"
SEED = "seed"
CANARY = "canary"
BACKEND = "backend"
OPERATOR = "operator"
FLOW_LOGS = "flow logs"
OURS = (PROJECTION, SEED, CANARY, BACKEND, OPERATOR, FLOW_LOGS)
"""The identities whose policies are in the templates."""

EXISTING_VPC = "vpc-0a1b2c3d4e5f60718"
EXISTING_SUBNETS = ("subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002")

LOOKED_UP = {
    f"vpc-provider:account={ACCOUNT}:filter.vpc-id={EXISTING_VPC}:region={REGION}:returnAsymmetricSubnets=true": {
        "vpcId": EXISTING_VPC,
        "vpcCidrBlock": "10.0.0.0/16",
        "ownerAccountId": ACCOUNT,
        "availabilityZones": [],
        "subnetGroups": [],
    }
}
"""What the CDK CLI would have found in the account."""

VARIANTS = ("dev", "prod", "dev in an existing VPC")
"""The variants that are proven: each stage for AWS, and the settings that change the policies further, all at once."""

_STREAM = "/stream/2026-11-20T00:00:00.000"


@dataclass(frozen=True)
class Deployed:
    """The names, ARNs and policies of a stage as deployed on AWS."""

    policies: Policies
    table_arn: str
    stream_arn: str
    queue_arn: str
    log_groups: Mapping[str, str]
    function_arns: Mapping[str, str]
    data_path: Mapping[str, str]

    @property
    def index_arn(self) -> str:
        """The only index."""
        return f"{self.table_arn}/index/{schema.INDEX_NAME}"


@functools.cache
def deployed(variant: str) -> Deployed:
    """Synthesize a variant, with the seed, and resolve its policies."""
    if variant == "dev in an existing VPC":
        return _resolved(in_existing_vpc(EXISTING_SUBNETS))
    overrides = {"seed_protected": "true"} if variant == "prod" else {}
    return _resolved(synthesize(variant, seed="true", **overrides))


def in_existing_vpc(subnet_ids: Sequence[str]) -> Templates:
    """Synthesize dev, with the seed, without `backend_changes`, in a VPC in which a lookup finds no subnet."""
    from aws_cdk import Environment

    wanted = {"stage": "dev", "seed": "true", "vpc_id": EXISTING_VPC, "subnet_ids": ",".join(subnet_ids)}
    settings = stages.read({**wanted, "backend_changes": "false"})
    return of_settings(settings, env=Environment(account=ACCOUNT, region=REGION), looked_up=LOOKED_UP)


def _resolved(templates: Templates) -> Deployed:
    intrinsics = Intrinsics(templates)
    main = templates["main"]
    functions = {PROJECTION: main, SEED: templates["seed"], CANARY: main}
    roles = {name: _role(template, name, intrinsics) for name, template in functions.items()}
    managed = {
        name: parse_policy(intrinsics.value(policy["Properties"]["PolicyDocument"]))
        for name, policy in resources(main, "AWS::IAM::ManagedPolicy").items()
    }
    documents = {name: document for name, (_, document) in roles.items()}
    documents |= {
        **{
            identity: document
            for identity, word in ((BACKEND, "Backend"), (OPERATOR, "Operator"))
            for name, document in managed.items()
            if name.startswith(word)
        },
        **dict.fromkeys((ADMINISTRATOR, UNBOUNDED_PROJECTION, *LOOK_ALIKES), ALLOW_EVERYTHING),
    }
    arns = {name: arn for name, (arn, _) in roles.items()}
    arns |= {
        BACKEND: _arn("iam", "role/backend-task", region=""),
        OPERATOR: _arn("iam", "role/operator", region=""),
        ADMINISTRATOR: _arn("iam", "role/administrator", region=""),
        UNBOUNDED_PROJECTION: arns[PROJECTION],
        LOOK_ALIKES[0]: arns[PROJECTION] + "-2",
        LOOK_ALIKES[1]: arns[PROJECTION].replace(ACCOUNT, "999988887777"),
    }
    log_groups = {name: log_group(template, name)["Properties"]["LogGroupName"] for name, template in functions.items()}
    flow_logs = resources(main, "AWS::EC2::FlowLog")
    if flow_logs:
        (policy,) = [found for name, found in resources(main, "AWS::IAM::Policy").items() if "FlowLog" in name]
        documents[FLOW_LOGS] = parse_policy(intrinsics.value(policy["Properties"]["PolicyDocument"]))
        arns[FLOW_LOGS] = _arn("iam", "role/flow-logs", region="")
        log_groups[FLOW_LOGS] = intrinsics.value(_reference_to_unnamed_log_group(main))
    endpoints = resources(main, "AWS::EC2::VPCEndpoint")
    endpoint_id = intrinsics.value({"Ref": next(iter(endpoints))}) if endpoints else None
    queue_arn = intrinsics.value(_only_arn(main, "AWS::SQS::Queue"))
    table_arn = _arn("dynamodb", f"table/{function(main, PROJECTION)['Environment']['Variables']['TABLE_NAME']}")
    return Deployed(
        policies=Policies(
            identities=documents,
            arns=arns,
            endpoint=parse_policy(intrinsics.value(only(main, "AWS::EC2::VPCEndpoint")["Properties"]["PolicyDocument"]))
            if endpoints
            else None,
            endpoint_id=endpoint_id,
            queue=parse_policy(intrinsics.value(only(main, "AWS::SQS::QueuePolicy")["Properties"]["PolicyDocument"])),
            queue_arn=queue_arn,
        ),
        table_arn=table_arn,
        stream_arn=table_arn + _STREAM,
        queue_arn=queue_arn,
        log_groups=log_groups,
        function_arns={
            name: _arn("lambda", f"function:{function(template, name)['FunctionName']}")
            for name, template in functions.items()
        },
        data_path={"aws:SourceVpce": endpoint_id} if endpoint_id else {"aws:SourceVpc": EXISTING_VPC},
    )


def _arn(service: str, resource: str, *, region: str = REGION) -> str:
    return f"arn:{PARTITION}:{service}:{region}:{ACCOUNT}:{resource}"


def _only_arn(template: Template, resource_type: str) -> dict[str, Any]:
    (name,) = resources(template, resource_type)
    return {"Fn::GetAtt": [name, "Arn"]}


def _reference_to_unnamed_log_group(template: Template) -> dict[str, str]:
    groups = resources(template, "AWS::Logs::LogGroup")
    (name,) = [name for name, group in groups.items() if "LogGroupName" not in group["Properties"]]
    return {"Ref": name}


def _role(template: Template, part: str, intrinsics: "Intrinsics") -> tuple[str, Document]:
    """The ARN of the function's role, and the statements of its policies: of the role's own, and of those attached."""
    found = role(template, part)
    (logical_id,) = [name for name, one in resources(template, "AWS::IAM::Role").items() if one == found]
    properties = found["Properties"]
    assert not properties.get("ManagedPolicyArns")
    beside = [policy["Properties"] for policy in resources(template, "AWS::IAM::Policy").values()]
    attached = [policy for policy in beside if policy["Roles"] == [{"Ref": logical_id}]]
    documents = [
        parse_policy(intrinsics.value(policy["PolicyDocument"])) for policy in (*properties["Policies"], *attached)
    ]
    name = intrinsics.value(properties["RoleName"])
    return _arn("iam", f"role/{name}", region=""), tuple(statement for found in documents for statement in found)


def parse_policy(raw: Mapping[str, Any]) -> Document:
    """A policy document as the evaluator takes it."""
    return tuple(_statement(statement) for statement in raw["Statement"])


def _statement(raw: Mapping[str, Any]) -> Statement:
    assert set(raw) <= {"Sid", "Effect", "Action", "Resource", "Condition", "Principal"}, f"unexpected: {set(raw)}"
    assert raw.get("Principal", "*") in ("*", {"AWS": "*"})
    return {
        "Sid": raw.get("Sid", "unnamed"),
        "Effect": raw["Effect"],
        "Action": _listed(raw["Action"]),
        "Resource": _listed(raw["Resource"]),
        "Condition": {
            operator: {key: _listed(values) for key, values in keys.items()}
            for operator, keys in raw.get("Condition", {}).items()
        },
    }


def _listed(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    assert all(isinstance(single, str) for single in values), f"unresolved: {values}"
    return list(values)


class Intrinsics:
    """Resolves intrinsics. A resource that gets its id on deployment has a made-up id, the same everywhere."""

    _PSEUDO: Mapping[str, str] = {
        "AWS::Partition": PARTITION,
        "AWS::Region": REGION,
        "AWS::AccountId": ACCOUNT,
        "AWS::URLSuffix": "amazonaws.com",
    }

    def __init__(self, templates: Templates) -> None:
        self._types = {
            name: resource["Type"]
            for template in templates.values()
            for name, resource in template["Resources"].items()
        }
        self._exports = {
            output["Export"]["Name"]: output["Value"]
            for template in templates.values()
            for output in template.get("Outputs", {}).values()
            if "Export" in output
        }

    def value(self, given: Any) -> Any:
        """The value with every intrinsic in it resolved. Raises AssertionError for one that is not known."""
        match given:
            case {"Ref": str(name)}:
                return self._PSEUDO.get(name) or self._id(name)
            case {"Fn::GetAtt": [str(name), str(attribute)]}:
                return self._attribute(name, attribute)
            case {"Fn::Join": [str(separator), list(parts)]}:
                return separator.join(self.value(part) for part in parts)
            case {"Fn::ImportValue": str(export)}:
                return self.value(self._exports[export])
            case dict():
                assert not any(name.startswith("Fn::") for name in given), f"cannot resolve {given}"
                return {name: self.value(nested) for name, nested in given.items()}
            case list():
                return [self.value(nested) for nested in given]
        return given

    def _id(self, name: str) -> str:
        prefixes = {
            "AWS::EC2::VPCEndpoint": "vpce-",
            "AWS::EC2::Subnet": "subnet-",
            "AWS::EC2::VPC": "vpc-",
            "AWS::EC2::SecurityGroup": "sg-",
            "AWS::Logs::LogGroup": "log-group-",
        }
        return f"{prefixes[self._types[name]]}{name.lower()}"

    def _attribute(self, name: str, attribute: str) -> str:
        match self._types[name], attribute:
            case "AWS::SQS::Queue", "Arn":
                return _arn("sqs", name)
            case "AWS::DynamoDB::Table", "StreamArn":
                return _arn("dynamodb", f"table/{schema.TABLE_NAME}{_STREAM}")
            case "AWS::EC2::SecurityGroup", "GroupId":
                return self._id(name)
            case "AWS::Logs::LogGroup", "Arn":
                return _arn("logs", f"log-group:{self._id(name)}:*")
        raise AssertionError(f"cannot resolve {attribute} of {name}, which is of type {self._types[name]}")
