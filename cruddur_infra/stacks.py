"""The stacks. They only compose; what can be lost stands apart from what can be made again."""

from aws_cdk import App, CfnOutput, Environment, Stack
from constructs import Construct

from cruddur_infra import names
from cruddur_infra.backend_access import BackendAccess
from cruddur_infra.delivery import Delivery
from cruddur_infra.messages_table import MessagesTable
from cruddur_infra.metrics import Watched
from cruddur_infra.monitoring import Monitoring
from cruddur_infra.network import Network
from cruddur_infra.projection import Projection
from cruddur_infra.seed import Seed
from cruddur_infra.settings import Settings
from cruddur_messages.seed import file as seed_file


class StageStack(Stack):
    """A stack of a stage: named by stage and part, protected as the stage is."""

    def __init__(
        self, scope: Construct, part: str, *, settings: Settings, env: Environment | None, description: str
    ) -> None:
        super().__init__(
            scope,
            settings.stack_name(part),
            env=env,
            description=f"Cruddur messages, {settings.stage}: {description}",
            termination_protection=settings.protect,
        )


class TableStack(StageStack):
    """The table: the only stack that holds data."""

    def __init__(self, scope: Construct, *, settings: Settings, env: Environment | None) -> None:
        super().__init__(scope, "table", settings=settings, env=env, description="the table, its index and stream")
        self.table = MessagesTable(self, "Messages", settings=settings).table
        assert self.table.table_stream_arn is not None
        self.stream_arn = self.table.table_stream_arn


class NetworkStack(StageStack):
    """Where the projection runs."""

    def __init__(self, scope: Construct, *, settings: Settings, env: Environment | None) -> None:
        super().__init__(scope, "network", settings=settings, env=env, description="isolated subnets and the endpoint")
        self.network = Network(self, "Network", settings=settings)


class BackendStack(StageStack):
    """What the Flask backend needs to know and to be allowed."""

    def __init__(self, scope: Construct, *, settings: Settings, env: Environment | None) -> None:
        super().__init__(
            scope, "backend", settings=settings, env=env, description="parameters and policy of the backend"
        )
        BackendAccess(self, "Backend", settings=settings, table_arn=names.table_arn(settings))


class ProjectionStack(StageStack):
    """The trigger."""

    def __init__(
        self, scope: Construct, *, settings: Settings, env: Environment | None, network: Network, stream_arn: str
    ) -> None:
        super().__init__(scope, "projection", settings=settings, env=env, description="the stream function")
        projection = Projection(
            self,
            "Messages",
            settings=settings,
            network=network,
            table_arn=names.table_arn(settings),
            stream_arn=stream_arn,
        )
        self.watched = Watched(
            settings=settings,
            mapping_id=projection.event_source_mapping.ref,
            function_name=names.function_name(settings, "projection"),
            log_group_name=f"/aws/lambda/{names.function_name(settings, 'projection')}",
            queue_name=projection.failure_queue.queue.queue_name,
        )
        for output, value in (
            ("FunctionName", projection.function.function_name),
            ("LogGroupName", self.watched.log_group_name),
            ("FailureQueueUrl", projection.failure_queue.queue.queue_url),
        ):
            CfnOutput(self, output, value=value)


class MonitoringStack(StageStack):
    """Who is told what, when the projection does not do its work."""

    def __init__(self, scope: Construct, *, settings: Settings, env: Environment | None, watched: Watched) -> None:
        super().__init__(scope, "monitoring", settings=settings, env=env, description="alarms and dashboard")
        monitoring = Monitoring(self, "Monitoring", watched=watched)
        CfnOutput(self, "AlarmTopicArn", value=monitoring.topic.ref)
        CfnOutput(self, "DashboardName", value=monitoring.dashboard_name)


class DeliveryStack(StageStack):
    """Who may deploy this stage from outside."""

    def __init__(self, scope: Construct, *, settings: Settings, env: Environment | None, repository: str) -> None:
        super().__init__(scope, "delivery", settings=settings, env=env, description="roles of the GitHub workflow")
        delivery = Delivery(self, "Delivery", settings=settings, repository=repository)
        CfnOutput(self, "DeployRoleArn", value=delivery.deploy_role.attr_arn)
        CfnOutput(self, "DiffRoleArn", value=delivery.diff_role.attr_arn)


class SeedStack(StageStack):
    """Made-up conversations; deleting the stack takes them out again."""

    def __init__(self, scope: Construct, *, settings: Settings, env: Environment | None) -> None:
        super().__init__(scope, "seed", settings=settings, env=env, description="made-up conversations")
        Seed(
            self,
            "Seed",
            settings=settings,
            table_arn=names.table_arn(settings),
            conversations=seed_file.load(settings.seed_path, settings.seed_users_path),
        )


def build(app: App, *, settings: Settings, env: Environment | None = None) -> None:
    """Add the stacks of a stage to an app; `env` is needed only where an existing VPC is looked up.

    Raises SeedFileError where the seed is wanted and its files are wrong.
    """
    table = TableStack(app, settings=settings, env=env) if settings.stream_arn is None else None
    network = NetworkStack(app, settings=settings, env=env)
    projection = ProjectionStack(
        app,
        settings=settings,
        env=env,
        network=network.network,
        stream_arn=table.stream_arn if table else str(settings.stream_arn),
    )
    monitoring = MonitoringStack(app, settings=settings, env=env, watched=projection.watched)
    # The metric filters name its log group.
    monitoring.add_stack_dependency(projection)
    if settings.delivery_repository is not None:
        DeliveryStack(app, settings=settings, env=env, repository=settings.delivery_repository)
    backend = BackendStack(app, settings=settings, env=env)
    if table is not None:
        backend.add_stack_dependency(table)
    if settings.seed:
        seed = SeedStack(app, settings=settings, env=env)
        # The first message must find the trigger there, or it would not reach the group rows.
        seed.add_stack_dependency(projection)
