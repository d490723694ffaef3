"""Whose turn it is to create a deployment: one after the other, and while one deployment waits, by tickets.

A place in the queue belongs to a request that is being answered. It is renewed as long as the caller is there, and
dropped when nobody does (`app/lease_watch.py`); a request that is made again with its id finds its place again.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from kadeploy_deployer.domain.errors import AnotherDeploymentWaiting, check_fingerprint
from kadeploy_deployer.domain.lease_record import LeaseKind, LeaseRecord
from kadeploy_deployer.ports.store_values import NewDeployment
from kadeploy_deployer.store.tables import deployments, queue_places, turnstile

PLACE_SECONDS = 10.0
"""How long a place lasts that nobody renews."""
WAITING_SLOT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Who comes before a request.

    Attributes:
        waiting_id: the deployment that waits for its nodes; empty when none does.
        waiting_owner: its owner.
        waited: for how many seconds it has waited.
        will_wait: for how many more it will wait at most.
        ahead: how many requests came before.
    """

    waiting_id: str
    waiting_owner: str
    waited: float
    will_wait: float
    ahead: int

    @property
    def has_come(self) -> bool:
        """True when nobody comes before."""
        return not self.waiting_id and not self.ahead

    def refusal(self) -> AnotherDeploymentWaiting:
        """Returns what somebody is told who does not wait until it has."""
        return AnotherDeploymentWaiting(
            self.waiting_id, self.waiting_owner, ahead=self.ahead, waited=self.waited, will_wait=self.will_wait
        )


def enter_admission(connection: Connection) -> int:
    """Waits until no other creation is under way, keeps others out until this one ends, and returns a new ticket."""
    connection.execute(update(turnstile).values(last_ticket=turnstile.c.last_ticket + 1))
    ticket: int = connection.execute(select(turnstile.c.last_ticket)).scalar_one()
    return ticket


def turn(connection: Connection, ticket: int) -> Turn:
    """Returns who comes before a ticket."""
    waiting = select(
        deployments.c.id, deployments.c.owner, deployments.c.wait_seconds, deployments.c.waited_seconds
    ).where(deployments.c.waiting_slot == WAITING_SLOT)
    row = connection.execute(waiting).one_or_none()
    earlier = select(func.count()).where(queue_places.c.ticket < ticket)
    return Turn(
        waiting_id=row.id if row else "",
        waiting_owner=row.owner if row else "",
        waited=row.waited_seconds if row else 0.0,
        will_wait=max(row.wait_seconds - row.waited_seconds, 0.0) if row else 0.0,
        ahead=connection.execute(earlier).scalar_one(),
    )


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


def keep_place(connection: Connection, ticket: int, new: NewDeployment) -> None:
    """Takes a place for a request, or renews it."""
    mine = update(queue_places).where(queue_places.c.ticket == ticket)
    if connection.execute(mine.values(renewals=queue_places.c.renewals + 1)).rowcount == 0:
        row = {
            "ticket": ticket,
            "owner": new.owner,
            "request_id": new.request_id or None,
            "fingerprint": new.fingerprint,
            "renewals": 0,
        }
        connection.execute(insert(queue_places).values(row))


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
    connection.execute(delete(queue_places).where(ticket == int(lease.name), renewals == lease.renewals))


def leave(connection: Connection, ticket: int) -> None:
    """Gives a place up."""
    connection.execute(delete(queue_places).where(queue_places.c.ticket == ticket))
