"""Where an existing VPC is looked up: the only thing in synthesis that needs an account."""

from collections.abc import Mapping

from aws_cdk import Environment

from cruddur_infra.settings import Settings, SettingsError


def lookup_environment(settings: Settings, variables: Mapping[str, str]) -> Environment | None:
    """The account and region in which an existing VPC is looked up; None where nothing is, and synthesis is offline.

    `variables` are those that the CDK CLI sets from the user's credentials. Raises SettingsError where it has not.
    """
    if settings.vpc_id is None:
        return None
    account, region = variables.get("CDK_DEFAULT_ACCOUNT"), variables.get("CDK_DEFAULT_REGION")
    if not account or not region:
        raise SettingsError(
            f"vpc_id={settings.vpc_id} is looked up in your account, and the CDK CLI has found no credentials or no "
            "region; set AWS_PROFILE and AWS_REGION, or leave vpc_id out"
        )
    return Environment(account=account, region=region)
