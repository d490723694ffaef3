"""Counting the history: per month, per node, per step."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, exists, func, or_, select

from kadeploy_deployer.domain.states import DeploymentState, OperationKind, PartitionState
from kadeploy_deployer.ports.store_values import Interval, MonthCount, NodeCount, Statistics, StepCount
from kadeploy_deployer.store.database import chunks
from kadeploy_deployer.store.tables import deployment_nodes, deployments, node_steps


def statistics(connection: Connection, interval: Interval, nodes: Sequence[str]) -> Statistics:
    """Returns what was counted of the deployments created in an interval, on these nodes (none named: on all)."""
    return Statistics(
        months=_months(connection, interval, nodes),
        nodes=_nodes(connection, interval, nodes),
        steps=_steps(connection, interval, nodes),
    )


def _within(interval: Interval) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [deployments.c.kind == OperationKind.DEPLOYMENT]
    if interval.start is not None:
        found.append(deployments.c.create_time >= interval.start)
    if interval.end is not None:
        found.append(deployments.c.create_time < interval.end)
    return found


def _named(column: ColumnElement[str], nodes: Sequence[str]) -> list[ColumnElement[bool]]:
    return [or_(*(column.in_(piece) for piece in chunks(nodes)))] if nodes else []


def _months(connection: Connection, interval: Interval, nodes: Sequence[str]) -> tuple[MonthCount, ...]:
    took_part = [
        deployment_nodes.c.deployment_id == deployments.c.id,
        deployment_nodes.c.state != "",
        *_named(deployment_nodes.c.node, nodes),
    ]
    count = select(func.count()).select_from(deployment_nodes).where(*took_part).scalar_subquery()
    query = select(deployments.c.create_time, deployments.c.state, count.label("nodes")).where(*_within(interval))
    if nodes:
        query = query.where(exists().where(*took_part))
    counted: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in connection.execute(query):
        day = datetime.fromtimestamp(row.create_time, UTC)
        month = counted[day.year, day.month]
        month[0] += 1
        month[1] += row.state == DeploymentState.ERROR
        month[2] += row.nodes
    return tuple(
        MonthCount(year=year, month=month, deployments=made, failed=failed, nodes=parts)
        for (year, month), (made, failed, parts) in sorted(counted.items())
    )


def _nodes(connection: Connection, interval: Interval, nodes: Sequence[str]) -> tuple[NodeCount, ...]:
    failed = func.sum(case((deployment_nodes.c.state == PartitionState.ERROR, 1), else_=0))
    query = (
        select(deployment_nodes.c.node, func.count().label("made"), failed.label("failed"))
        .join(deployments)
        .where(deployment_nodes.c.state != "", *_within(interval), *_named(deployment_nodes.c.node, nodes))
        .group_by(deployment_nodes.c.node)
        .order_by(deployment_nodes.c.node)
    )
    return tuple(
        NodeCount(node=row.node, deployments=row.made, failures=int(row.failed)) for row in connection.execute(query)
    )


def _steps(connection: Connection, interval: Interval, nodes: Sequence[str]) -> tuple[StepCount, ...]:
    seconds = node_steps.c.end_time - node_steps.c.start_time

    def of_history(query: Select[Any]) -> Select[Any]:
        return query.join(deployments).where(*_within(interval), *_named(node_steps.c.node, nodes))

    failed = func.sum(case((node_steps.c.succeeded.is_(False), 1), else_=0))
    totals = select(
        node_steps.c.step, func.count().label("done"), failed.label("failed"), func.max(seconds).label("most")
    )
    rows = connection.execute(of_history(totals).group_by(node_steps.c.step).order_by(node_steps.c.step)).all()
    found = []
    for row in rows:
        # No engine of ours has a median; the row in the middle is one.
        middle = of_history(select(seconds)).where(node_steps.c.step == row.step).order_by(seconds)
        median = connection.execute(middle.limit(1).offset((row.done - 1) // 2)).scalar_one()
        found.append(
            StepCount(
                step=row.step, count=row.done, failures=int(row.failed), median_seconds=median, most_seconds=row.most
            )
        )
    return tuple(found)
