"""Names that two stacks, or a person, have to know before anything is deployed; all others CloudFormation makes up."""

from aws_cdk import Aws

from cruddur_infra.settings import PREFIX, Settings


def function_name(settings: Settings, part: str) -> str:
    """The name of a function: its own role and log group have to name it before it exists."""
    return f"{PREFIX}-{settings.stage}-{part}"


def role_name(settings: Settings, part: str) -> str:
    """The name of a function's role, which the endpoint policy needs. Roles are global, hence the region."""
    return f"{PREFIX}-{settings.stage}-{part}-{Aws.REGION}"


def parameter_name(settings: Settings, name: str) -> str:
    """The name of an SSM parameter for the backend."""
    return f"/cruddur/{settings.stage}/messages/{name}"


def table_arn(settings: Settings) -> str:
    """The ARN of the table, for policies in stacks that do not otherwise depend on it."""
    return f"arn:{Aws.PARTITION}:dynamodb:{Aws.REGION}:{Aws.ACCOUNT_ID}:table/{settings.table_name}"


def function_arn(settings: Settings, part: str) -> str:
    """The ARN of a function, for its own role: a reference would be a cycle."""
    return f"arn:{Aws.PARTITION}:lambda:{Aws.REGION}:{Aws.ACCOUNT_ID}:function:{function_name(settings, part)}"


def role_arn(settings: Settings, part: str) -> str:
    """The ARN of a function's role, for the endpoint policy in another stack."""
    return f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:role/{role_name(settings, part)}"
