"""The stacks. They only compose constructs. Data and stateless resources are in separate stacks."""

from collections.abc import Mapping

from aws_cdk import App, Aspects, CfnOutput, DefaultStackSynthesizer, Environment, Fn, Stack
from constructs import Construct

from cruddur_infra import names
from cruddur_infra.constructs.audit import Audit
from cruddur_infra.constructs.backend_access import BackendAccess
from cruddur_infra.constructs.canary import Canary
from cruddur_infra.constructs.delivery_roles import DeliveryRoles
from cruddur_infra.constructs.function import FunctionSettings
from cruddur_infra.constructs.messages_table import MessagesTable, Throughput
from cruddur_infra.constructs.network import Network, existing_network, own_network
from cruddur_infra.constructs.operator_access import OperatorAccess
from cruddur_infra.constructs.projection import PART, Polling, ProjectionFunction
from cruddur_infra.constructs.seed_data import SeedData
from cruddur_infra.emulator import ForTheEmulator
from cruddur_infra.monitoring.alarms import Thresholds
from cruddur_infra.monitoring.audit import AuditAlarms
from cruddur_infra.monitoring.metrics import Watched
from cruddur_infra.monitoring.monitoring import Monitoring
from cruddur_infra.settings import Settings, SettingsError


class StageStack(Stack):
    """A stack of a stage: its name, tags and bootstrap stack."""

    def __init__(
        self,
        scope: Construct,
        *,
        settings: Settings,
        env: Environment | None,
        part: str | None,
        contents: str,
        is_protected: bool = False,
    ) -> None:
        super().__init__(
            scope,
            settings.stack_name(part),
            env=env,
            # CloudFormation gives the tags of a stack to every resource that can have tags.
            tags={"system": settings.name, "stage": settings.stage},
            # Without the setting, the bootstrap stack of the CDK's own context, or else its default.
            synthesizer=DefaultStackSynthesizer(qualifier=settings.bootstrap_qualifier),
            description=f"Cruddur messages, {settings.stage}: {contents}",
            termination_protection=is_protected,
        )

    def output(self, **values: str) -> None:
        """Add outputs, by name."""
        for name, value in values.items():
            CfnOutput(self, name, value=value)


class TableStack(StageStack):
    """The table: the only stack that holds data."""

    def __init__(self, scope: Construct, *, settings: Settings, env: Environment | None) -> None:
        contents = "the table, its index and stream"
        super().__init__(
            scope, settings=settings, env=env, part="table", contents=contents, is_protected=settings.protect
        )
        is_provisioned = settings.billing == "provisioned"
        self.stream_arn = MessagesTable(
            self,
            "Messages",
            table_name=settings.table_name,
            throughput=Throughput(
                reads=settings.provisioned_read_units if is_provisioned else settings.max_read_units,
                writes=settings.provisioned_write_units if is_provisioned else settings.max_write_units,
                is_provisioned=is_provisioned,
            ),
            encryption=settings.encryption,
            point_in_time_recovery=settings.point_in_time_recovery,
            keep=settings.protect,
        ).stream_arn


class MainStack(StageStack):
    """Everything without data: network, projection, monitoring, and what the backend needs."""

    def __init__(self, scope: Construct, *, settings: Settings, env: Environment | None, stream_arn: str) -> None:
        super().__init__(
            scope, settings=settings, env=env, part=None, contents="projection, network, monitoring, backend"
        )
        self._zones = settings.zones
        table_arn = names.table_arn(settings.table_name)
        projection = ProjectionFunction(
            self,
            "Messages",
            common=_common(settings),
            network=self._network(settings, table_arn),
            stream_arn=stream_arn,
            memory_mb=settings.memory_mb,
            timeout_seconds=settings.timeout_seconds,
            polling=Polling(
                batch_size=settings.batch_size,
                batching_window_seconds=settings.batching_window_seconds,
                parallelization_factor=settings.parallelization_factor,
                retry_attempts=settings.retry_attempts,
                record_age_seconds=settings.record_age_seconds,
            ),
            keep_failures=settings.protect,
        )
        BackendAccess(
            self,
            "Backend",
            system=settings.system,
            table_name=settings.table_name,
            changes=settings.backend_changes,
            keep_days=settings.keep_days,
            batch_write=settings.backend_batch_write,
        )
        OperatorAccess(
            self,
            "Operator",
            table_arn=table_arn,
            failure_queue_arn=projection.failure_queue.queue_arn,
        )
        self.output(
            FunctionName=projection.function.function_name,
            LogGroupName=names.log_group_name(settings.system, PART),
            FailureQueueUrl=projection.failure_queue.queue_url,
        )
        if settings.monitoring != "none":
            self._monitor(settings, projection, self._canary(settings, projection))

    @property
    def availability_zones(self) -> list[str]:
        """Those of the settings, or the first two of the region. Without this, CDK may look them up."""
        return list(self._zones) or [Fn.select(number, Fn.get_azs()) for number in range(2)]

    def _network(self, settings: Settings, table_arn: str) -> Network:
        if settings.vpc_id is not None:
            return existing_network(self, "Network", vpc_id=settings.vpc_id, subnet_ids=settings.subnet_ids)
        return own_network(
            self,
            "Network",
            cidr=settings.vpc_cidr,
            table_arn=table_arn,
            role_arn=names.role_arn(settings.system, PART),
            flow_log_days=settings.log_retention_days if settings.flow_logs else None,
            keep_flow_logs=settings.protect,
        )

    def _canary(self, settings: Settings, projection: ProjectionFunction) -> Canary | None:
        if not settings.canary_minutes:
            return None
        return Canary(
            self,
            "Canary",
            common=_common(settings),
            minutes=settings.canary_minutes,
            wait_seconds=settings.canary_wait_seconds,
            runs_after=projection.event_source_mapping,
        )

    def _monitor(self, settings: Settings, projection: ProjectionFunction, canary: Canary | None) -> None:
        monitoring = Monitoring(
            self,
            "Monitoring",
            watched=Watched(
                system=settings.system,
                function_name=names.function_name(settings.system, PART),
                log_group_name=projection.log_group_name,
                table_name=settings.table_name,
                mapping_id=projection.event_source_mapping.ref,
                queue_name=projection.failure_queue.queue_name,
                canary_log_group_name=canary.log_group_name if canary else None,
            ),
            thresholds=Thresholds(
                age_seconds=settings.alarm_age_seconds,
                failures=settings.alarm_failures,
                user_errors=settings.alarm_user_errors,
                loop_factor=settings.alarm_loop_factor,
                timeout_seconds=settings.timeout_seconds,
                canary_minutes=settings.canary_minutes,
                canary_wait_seconds=settings.canary_wait_seconds,
            ),
            full=settings.monitoring == "full",
            memory_mb=settings.memory_mb,
            email=settings.alarm_email,
        )
        self.output(AlarmTopicArn=monitoring.topic_arn)
        if monitoring.dashboard_name:
            self.output(DashboardName=monitoring.dashboard_name)


class DeliveryStack(StageStack):
    """The roles that deploy this stage from GitHub."""

    def __init__(self, scope: Construct, *, settings: Settings, env: Environment | None, repository: str) -> None:
        super().__init__(scope, settings=settings, env=env, part="delivery", contents="roles of the GitHub workflow")
        roles = DeliveryRoles(
            self,
            "Delivery",
            repository=repository,
            stage=settings.stage,
            stack_names=[settings.stack_name(part) for part in (None, "table", "seed", "audit", "delivery")],
            looks_up=settings.vpc_id is not None,
            bootstrap_qualifier=settings.bootstrap_qualifier
            or self.node.try_get_context("@aws-cdk/core:bootstrapQualifier")
            or DefaultStackSynthesizer.DEFAULT_QUALIFIER,
            table_arn=names.table_arn(settings.table_name),
        )
        self.output(
            DeployRoleArn=roles.deploy_role.attr_arn,
            SmokeRoleArn=roles.smoke_role.attr_arn,
            DiffRoleArn=roles.diff_role.attr_arn,
        )


class AuditStack(StageStack):
    """The check of the whole table, every few days."""

    def __init__(self, scope: Construct, *, settings: Settings, env: Environment | None) -> None:
        super().__init__(scope, settings=settings, env=env, part="audit", contents="the check of the whole table")
        audit = Audit(
            self,
            "Audit",
            system=settings.system,
            table_name=settings.table_name,
            every_days=settings.audit_days,
            key_arn=settings.audit_key_arn,
        )
        self.output(BucketName=audit.bucket.bucket_name, StateMachineArn=audit.state_machine_arn)
        if settings.monitoring != "none":
            alarms = AuditAlarms(
                self,
                "Monitoring",
                system=settings.system,
                state_machine_arn=audit.state_machine_arn,
                every_days=settings.audit_days,
                encrypted=settings.monitoring == "full",
                email=settings.alarm_email,
            )
            self.output(AlarmTopicArn=alarms.topic_arn)


class SeedStack(StageStack):
    """Made-up conversations; deleting the stack removes them."""

    def __init__(self, scope: Construct, *, settings: Settings, env: Environment | None) -> None:
        super().__init__(scope, settings=settings, env=env, part="seed", contents="made-up conversations")
        SeedData(
            self,
            "Seed",
            common=_common(settings),
            conversations_file=settings.seed_path,
            users_file=settings.seed_users_path,
            memory_mb=settings.memory_mb,
        )


def _common(settings: Settings) -> FunctionSettings:
    return FunctionSettings(
        system=settings.system,
        table_name=settings.table_name,
        runtime=settings.runtime,
        architecture=settings.architecture,
        log_retention_days=settings.log_retention_days,
    )


def build(app: App, *, settings: Settings, env: Environment | None = None) -> None:
    """Add the stacks of a stage to an app. Raises SeedFileError if the files of a wanted seed are wrong."""
    stream_arn = settings.stream_arn or TableStack(app, settings=settings, env=env).stream_arn
    main = MainStack(app, settings=settings, env=env, stream_arn=stream_arn)
    if settings.seed:
        # The projection must exist before the seed's messages are written.
        SeedStack(app, settings=settings, env=env).add_stack_dependency(main)
    if settings.audit_days:
        # The first run starts at once and needs the table. The main stack comes after the table.
        AuditStack(app, settings=settings, env=env).add_stack_dependency(main)
    if settings.delivery_repository is not None:
        DeliveryStack(app, settings=settings, env=env, repository=settings.delivery_repository)
    if settings.is_emulated:
        Aspects.of(app).add(ForTheEmulator())


def environment(settings: Settings, variables: Mapping[str, str]) -> Environment | None:
    """The account and region that the stacks are bound to; None if neither is set or needed.

    `variables` are those that the CDK CLI sets from the user's credentials. Only an existing VPC needs them, since it
    is looked up. Raises SettingsError if they are needed and missing, or belong to another account than the setting.
    """
    found_account, found_region = variables.get("CDK_DEFAULT_ACCOUNT"), variables.get("CDK_DEFAULT_REGION")
    if settings.account and found_account and settings.account != found_account:
        raise SettingsError(
            f"account is {settings.account}, and your credentials belong to {found_account}; "
            "set AWS_PROFILE to the right one, or leave account out"
        )
    if settings.vpc_id is None:
        is_bound = settings.account or settings.region
        return Environment(account=settings.account, region=settings.region) if is_bound else None
    account, region = settings.account or found_account, settings.region or found_region
    if not account or not region:
        raise SettingsError(
            f"vpc_id={settings.vpc_id} is looked up in your account, and the CDK CLI has found no credentials or no "
            "region; set AWS_PROFILE and AWS_REGION, or leave vpc_id out"
        )
    return Environment(account=account, region=region)
