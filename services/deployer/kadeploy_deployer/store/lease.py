"""Who drives what: the lease, its fence, and the compare-and-set through which every change of a driver goes.

`hold` opens each transaction of a driver: it proves the lease and takes the deployment's row, so that nobody else can
change anything of that deployment until the transaction ends. An old owner that wakes up fails here, and changes
nothing. Who is an old owner is judged by renewals that are counted, never by a time (`engine/lease_watch.py`).
"""

from collections.abc import Sequence

from sqlalchemy import Connection, Row, and_, select, tuple_, update

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.errors import DeploymentFinished, DeploymentNotFound, LeaseLost
from kadeploy_deployer.domain.events import Remark
from kadeploy_deployer.domain.lease_record import LeaseKind, LeaseRecord
from kadeploy_deployer.domain.lifecycle import FINISHED, UNFINISHED
from kadeploy_deployer.domain.states import DeploymentState
from kadeploy_deployer.store import admission, consoles
from kadeploy_deployer.store.database import chunks
from kadeploy_deployer.store.event_rows import append_events
from kadeploy_deployer.store.tables import deployments
from kadeploy_edge.errors import Conflict

TRIES = 5
RENEWED_AT_ONCE = 200
"""Of how many leases one statement speaks."""


class VersionRace(Conflict):
    """The row changed between reading and writing, again and again."""

    reason = "VERSION_RACE"


def hold(connection: Connection, lease: Lease, **changes: object) -> Row[str, int, str, str]:
    """Proves a lease, takes the row for this transaction, and returns its (state, version, owner, kind) from before.

    Raises:
        LeaseLost: the deployment has another driver, or is finished.
    """
    mine = and_(
        deployments.c.id == lease.deployment_id,
        deployments.c.driver == lease.driver,
        deployments.c.fence == lease.fence,
        deployments.c.state.in_(sorted(UNFINISHED)),
    )
    for _ in range(TRIES):
        query = select(deployments.c.state, deployments.c.version, deployments.c.owner, deployments.c.kind).where(mine)
        row = connection.execute(query).one_or_none()
        if row is None:
            raise LeaseLost(lease.deployment_id)
        taken = update(deployments).where(mine, deployments.c.version == row.version)
        if connection.execute(taken.values(version=row.version + 1, **changes)).rowcount == 1:
            return row
    raise VersionRace(f"deployment {lease.deployment_id} changes too fast")


def list_leases(connection: Connection) -> list[LeaseRecord]:
    """Returns the leases of all unfinished deployments, the oldest first, and of all consoles and queue places."""
    leases = deployments.c
    query = select(leases.id, leases.driver, leases.fence, leases.renewals, leases.lease_seconds)
    query = query.where(leases.state.in_(sorted(UNFINISHED))).order_by(leases.create_time)
    found = [
        LeaseRecord(
            kind=LeaseKind.DEPLOYMENT,
            name=row.id,
            seconds=row.lease_seconds,
            renewals=row.renewals,
            driver=row.driver,
            fence=row.fence,
        )
        for row in connection.execute(query)
    ]
    return [*found, *consoles.list_leases(connection), *admission.list_leases(connection)]


def claim(
    connection: Connection, orphans: Sequence[LeaseRecord], *, driver: str, now: float, lease_seconds: float
) -> Sequence[Lease]:
    """Takes over deployments whose leases stand as they were seen; of rivals exactly one gets each.

    Args:
        connection: of the transaction.
        orphans: deployments whose lease has run out or was given back.
        driver: who takes them over.
        now: the time, for people.
        lease_seconds: how long the new lease lasts.
    """
    taken = []
    for orphan in orphans:
        as_seen = and_(
            deployments.c.id == orphan.name,
            deployments.c.driver == orphan.driver,
            deployments.c.fence == orphan.fence,
            deployments.c.renewals == orphan.renewals,
            deployments.c.state.in_(sorted(UNFINISHED)),
        )
        query = select(deployments.c.state, deployments.c.version, deployments.c.dead_drivers).where(as_seen)
        row = connection.execute(query).one_or_none()
        if row is None:
            continue
        # Who gave it back did not die of it, and nobody dies of waiting.
        died = orphan.driver != "" and row.state != DeploymentState.WAITING
        dead = row.dead_drivers + died
        values = {
            "driver": driver,
            "fence": orphan.fence + 1,
            "version": row.version + 1,
            "lease_expires_at": now + lease_seconds,
            "lease_seconds": lease_seconds,
            "renewals": orphan.renewals + 1,
            "dead_drivers": dead,
        }
        change = update(deployments).where(as_seen, deployments.c.version == row.version)
        if connection.execute(change.values(values)).rowcount == 1:
            taken.append(Lease(deployment_id=orphan.name, driver=driver, fence=orphan.fence + 1, dead_drivers=dead))
    return taken


def free(connection: Connection, leases: Sequence[LeaseRecord]) -> None:
    """Frees consoles, and drops places in the queue, if their leases stand as they were seen."""
    for lease in leases:
        if lease.kind is LeaseKind.CONSOLE:
            consoles.free(connection, lease)
        elif lease.kind is LeaseKind.QUEUE_PLACE:
            admission.free(connection, lease)


def renew(connection: Connection, leases: Sequence[Lease], *, now: float, lease_seconds: float) -> frozenset[str]:
    """Renews leases and returns the deployments of those still held. The version stays: nothing was told."""
    still_held: set[str] = set()
    values = {
        "lease_expires_at": now + lease_seconds,
        "lease_seconds": lease_seconds,
        "renewals": deployments.c.renewals + 1,
    }
    for some in chunks(leases, RENEWED_AT_ONCE):
        proofs = [(lease.deployment_id, lease.driver, lease.fence) for lease in some]
        mine = and_(
            # Said again, for not every engine finds its key in the comparison of several columns.
            deployments.c.id.in_([lease.deployment_id for lease in some]),
            tuple_(deployments.c.id, deployments.c.driver, deployments.c.fence).in_(proofs),
            deployments.c.state.in_(sorted(UNFINISHED)),
        )
        # Written first: whoever would take one over waits from here on until this is committed.
        connection.execute(update(deployments).where(mine).values(values))
        still_held.update(connection.execute(select(deployments.c.id).where(mine)).scalars())
    return frozenset(still_held)


def release(connection: Connection, leases: Sequence[Lease]) -> None:
    """Gives leases back. One that is not held any more is nobody's concern."""
    for lease in leases:
        connection.execute(
            update(deployments)
            .where(
                deployments.c.id == lease.deployment_id,
                deployments.c.driver == lease.driver,
                deployments.c.fence == lease.fence,
            )
            .values(driver="", lease_expires_at=0.0, version=deployments.c.version + 1)
        )


def request_cancel(connection: Connection, deployment_id: str, *, reason: str, now: float) -> None:
    """Marks an unfinished deployment to be cancelled and records an event; the first reason stays."""
    mine = deployments.c.id == deployment_id
    unfinished = deployments.c.state.in_(sorted(UNFINISHED))
    change = update(deployments).where(mine, unfinished, deployments.c.cancel_requested.is_(False))
    values = {"cancel_requested": True, "cancel_reason": reason, "version": deployments.c.version + 1}
    if connection.execute(change.values(values)).rowcount == 1:
        append_events(connection, deployment_id, [(now, "", Remark(text=reason))])
        return
    state = connection.execute(select(deployments.c.state).where(mine)).scalar_one_or_none()
    if state is None:
        raise DeploymentNotFound(deployment_id)
    if DeploymentState(state) in FINISHED:
        raise DeploymentFinished(deployment_id, state)


def cancel_requests(connection: Connection, deployment_ids: Sequence[str]) -> frozenset[str]:
    """Returns which of these deployments are to be cancelled."""
    wanted: set[str] = set()
    for ids in chunks(deployment_ids):
        query = select(deployments.c.id).where(deployments.c.id.in_(ids), deployments.c.cancel_requested.is_(True))
        wanted.update(connection.execute(query).scalars())
    return frozenset(wanted)
