"""Names that more than one place must know before anything is deployed.

`system` is the name of the main stack, such as `cruddur-messages-dev`. Function and role have fixed names: the role's
own Deny and the endpoint's policy name them, and a reference would be a cycle (docs/decisions/0005).
"""

from aws_cdk import Aws


def function_name(system: str, part: str) -> str:
    """The name of a function."""
    return f"{system}-{part}"


def log_group_name(system: str, part: str) -> str:
    """The name of a function's log group."""
    return f"/aws/lambda/{function_name(system, part)}"


def role_name(system: str, part: str) -> str:
    """The name of a function's role. Roles are global, hence the region."""
    return f"{system}-{part}-{Aws.REGION}"


def function_arn(system: str, part: str) -> str:
    """The ARN of a function."""
    return f"arn:{Aws.PARTITION}:lambda:{Aws.REGION}:{Aws.ACCOUNT_ID}:function:{function_name(system, part)}"


def role_arn(system: str, part: str) -> str:
    """The ARN of a function's role."""
    return f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:role/{role_name(system, part)}"


def table_arn(table_name: str) -> str:
    """The ARN of a table, in this app or not."""
    return f"arn:{Aws.PARTITION}:dynamodb:{Aws.REGION}:{Aws.ACCOUNT_ID}:table/{table_name}"
