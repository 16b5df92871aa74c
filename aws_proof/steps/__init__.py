"""All claims, in the order of their tests."""

from aws_proof.claims import Claim, Phase
from aws_proof.steps import adoption, deployment, failures, leftovers, metrics, permissions, updates

PHASES = (
    Phase(
        "dev",
        "dev",
        (
            deployment.deploys,
            deployment.smoke_passes,
            deployment.source_function_arn,
            permissions.simulator,
            permissions.enclosing_operation,
            permissions.leading_keys,
            permissions.outside_callers,
            updates.settings_change,
            failures.endpoint_policy,
            failures.messages_fail,
            failures.failure_queue,
            failures.alarms_start,
            failures.alarm_notice,
            failures.redrive,
            failures.rebuild,
            failures.alarms_end,
            failures.stream_keeps_a_day,
            metrics.metrics_have_data,
            metrics.fill_over_nothing,
            deployment.nothing_drifts,
            deployment.destroys,
        ),
    ),
    Phase(
        "prod",
        "prod",
        (
            deployment.deploys,
            deployment.smoke_passes,
            permissions.simulator,
            deployment.nothing_drifts,
            deployment.prod_is_protected,
        ),
    ),
    Phase(
        "adoption",
        "dev",
        (
            adoption.adoption_by_reference,
            adoption.first_batch,
            adoption.adoption_by_import,
            adoption.imported_table,
            adoption.imported_stream,
        ),
    ),
    Phase("end", "dev", (leftovers.nothing_left,)),
)

CLAIMS: dict[str, Claim] = {one.id: one for phase in PHASES for one in phase.claims}
