"""Who may create a deployment now, and who stands behind whom: node by node, in the order of arrival.

Creations pass one after the other. A request whose nodes are free, and that no earlier one claims, never waits. Claims
have the deployment that waits for its nodes, and the requests that queue: each for its own nodes.

A place in the queue belongs to a request that is being answered. It is renewed as long as the caller is there, and
dropped when nobody does (`engine/lease_watch.py`); a request that is made again with its id finds its place again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, delete, exists, func, insert, select, update

from kadeploy_deployer.domain.errors import AnotherDeploymentWaiting, check_fingerprint
from kadeploy_deployer.domain.lease_record import LeaseKind, LeaseRecord
from kadeploy_deployer.ports.store_values import NewDeployment
from kadeploy_deployer.store.bulk import insert_rows
from kadeploy_deployer.store.tables import (
    deployment_nodes,
    deployments,
    node_locks,
    queue_nodes,
    queue_places,
    turnstile,
)

PLACE_SECONDS = 10.0
"""How long a place lasts that nobody renews."""
WAITING_SLOT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """Who comes before a request.

    Attributes:
        claims: the nodes of the request that somebody before it claims, each with who that is, as a sentence says it.
        waiting_id: the deployment that waits for its nodes; empty when none does.
        waiting_owner: its owner.
        waited: for how many seconds it has waited.
        will_wait: for how many more it will wait at most.
        places: how many requests queue before this one, whatever their nodes.
    """

    claims: Mapping[str, str]
    waiting_id: str
    waiting_owner: str
    waited: float
    will_wait: float
    places: int

    @property
    def is_next_to_wait(self) -> bool:
        """True when the place of the one deployment that waits is free, and nobody in the queue comes before."""
        return not self.waiting_id and not self.places

    def refusal(self) -> AnotherDeploymentWaiting:
        """Returns the error of a request that does not want to stand behind the others."""
        return AnotherDeploymentWaiting(
            self.waiting_id,
            self.waiting_owner,
            nodes=list(self.claims),
            ahead=self.places,
            waited=self.waited,
            will_wait=self.will_wait,
        )


def enter_admission(connection: Connection) -> int:
    """Waits until no other creation is under way, keeps others out until this one ends, and returns a new ticket."""
    connection.execute(update(turnstile).values(last_ticket=turnstile.c.last_ticket + 1))
    ticket: int = connection.execute(select(turnstile.c.last_ticket)).scalar_one()
    return ticket


def ahead(connection: Connection, ticket: int, nodes: Sequence[str]) -> Ahead:
    """Returns who comes before a ticket, and which of its nodes they claim."""
    waiting = select(
        deployments.c.id, deployments.c.owner, deployments.c.wait_seconds, deployments.c.waited_seconds
    ).where(deployments.c.waiting_slot == WAITING_SLOT)
    row = connection.execute(waiting).one_or_none()
    earlier = queue_places.c.ticket < ticket
    places: int = connection.execute(select(func.count()).select_from(queue_places).where(earlier)).scalar_one()
    claimed: dict[str, str] = {}
    if places:
        queued = select(queue_nodes.c.node, queue_places.c.owner).join(
            queue_places, queue_places.c.ticket == queue_nodes.c.ticket
        )
        claimed = {node: f"an earlier request of {owner}" for node, owner in connection.execute(queued.where(earlier))}
    if row is not None:
        wanted = and_(deployment_nodes.c.deployment_id == row.id, deployment_nodes.c.state != "")
        waits = connection.execute(select(deployment_nodes.c.node).where(wanted)).scalars()
        claimed |= dict.fromkeys(waits, f"deployment {row.id} of {row.owner}, which waits for it")
    return Ahead(
        claims={node: claimed[node] for node in nodes if node in claimed},
        waiting_id=row.id if row else "",
        waiting_owner=row.owner if row else "",
        waited=row.waited_seconds if row else 0.0,
        will_wait=max(row.wait_seconds - row.waited_seconds, 0.0) if row else 0.0,
        places=places,
    )


def is_next(connection: Connection, ticket: int) -> bool:
    """Returns whether a request in the queue may begin, or be the one that waits for its nodes."""
    nodes = connection.execute(select(queue_nodes.c.node).where(queue_nodes.c.ticket == ticket)).scalars().all()
    before = ahead(connection, ticket, nodes)
    if before.is_next_to_wait:
        return True
    if before.claims:
        return False
    locked = exists().where(queue_nodes.c.ticket == ticket, queue_nodes.c.node == node_locks.c.node)
    return not connection.execute(select(locked)).scalar_one()


def place_of(connection: Connection, new: NewDeployment) -> int:
    """Returns the ticket that a request has already, 0 when it has none.

    Raises InvalidDeployment when its request_id is that of another request in the queue.
    """
    if not new.request_id:
        return 0
    places = queue_places.c
    mine = select(places.ticket, places.fingerprint).where(
        places.owner == new.owner, places.request_id == new.request_id
    )
    row = connection.execute(mine).one_or_none()
    if row is None:
        return 0
    check_fingerprint(row.fingerprint, new.fingerprint)
    return int(row.ticket)


def keep_place(connection: Connection, ticket: int, new: NewDeployment, nodes: Sequence[str]) -> None:
    """Takes a place for a request, which claims its nodes, or renews it."""
    mine = update(queue_places).where(queue_places.c.ticket == ticket)
    if connection.execute(mine.values(renewals=queue_places.c.renewals + 1)).rowcount:
        return
    row = {
        "ticket": ticket,
        "owner": new.owner,
        "request_id": new.request_id or None,
        "fingerprint": new.fingerprint,
        "renewals": 0,
    }
    connection.execute(insert(queue_places).values(row))
    connection.execute(delete(queue_nodes).where(queue_nodes.c.ticket == ticket))
    insert_rows(connection, queue_nodes, ("node",), [(node,) for node in sorted(nodes)], same={"ticket": ticket})


def list_leases(connection: Connection) -> list[LeaseRecord]:
    """Returns all places."""
    rows = connection.execute(select(queue_places.c.ticket, queue_places.c.renewals))
    return [
        LeaseRecord(kind=LeaseKind.QUEUE_PLACE, name=str(ticket), seconds=PLACE_SECONDS, renewals=renewals)
        for ticket, renewals in rows
    ]


def free(connection: Connection, lease: LeaseRecord) -> None:
    """Drops a place, if it was not renewed since it was seen."""
    ticket, renewals = queue_places.c.ticket, queue_places.c.renewals
    gone = delete(queue_places).where(ticket == int(lease.name), renewals == lease.renewals)
    if connection.execute(gone).rowcount:
        connection.execute(delete(queue_nodes).where(queue_nodes.c.ticket == int(lease.name)))


def leave(connection: Connection, ticket: int) -> None:
    """Gives a place up."""
    for table in (queue_places, queue_nodes):
        connection.execute(delete(table).where(table.c.ticket == ticket))
