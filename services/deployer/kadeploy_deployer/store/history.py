"""HistoryPruner: the events and outputs of deployments that ended long ago. What statistics count stays."""

from sqlalchemy import Connection, delete, exists, or_, select

from kadeploy_deployer.store.tables import deployments, events, step_outputs


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
