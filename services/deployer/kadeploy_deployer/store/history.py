"""What is dropped: events and outputs of deployments that ended long ago, and operations. What is counted stays."""

from sqlalchemy import Connection, delete, exists, or_, select

from kadeploy_deployer.domain.states import OperationKind
from kadeploy_deployer.store.tables import (
    deployment_inputs,
    deployment_nodes,
    deployments,
    events,
    node_steps,
    partition_states,
    step_outputs,
)

DROPPED_AT_ONCE = 100


def prune_one(connection: Connection, *, before: float) -> bool:
    """Drops the events and the outputs of one deployment that ended before a time; returns whether there was one."""
    has_events = exists().where(events.c.deployment_id == deployments.c.id)
    printed = exists().where(step_outputs.c.deployment_id == deployments.c.id)
    old = select(deployments.c.id).where(deployments.c.end_time < before, or_(has_events, printed))
    found = connection.execute(old.order_by(deployments.c.end_time).limit(1)).scalar_one_or_none()
    if found is None:
        return False
    for table in (events, step_outputs):
        connection.execute(delete(table).where(table.c.deployment_id == found))
    return True


def drop_operations(connection: Connection, *, before: float) -> bool:
    """Drops operations that are no deployments and ended before a time; returns whether there were any."""
    # A declaration is kept as long as a partition has what it says.
    in_use = exists().where(partition_states.c.deployment_id == deployments.c.id)
    old = select(deployments.c.id).where(
        deployments.c.kind != OperationKind.DEPLOYMENT, deployments.c.end_time < before, ~in_use
    )
    ids = connection.execute(old.order_by(deployments.c.end_time).limit(DROPPED_AT_ONCE)).scalars().all()
    if not ids:
        return False
    for table in (events, step_outputs, node_steps, deployment_nodes, deployment_inputs):
        connection.execute(delete(table).where(table.c.deployment_id.in_(ids)))
    connection.execute(delete(deployments).where(deployments.c.id.in_(ids)))
    return True
