"""Whose turn it is to create a deployment: one after the other, and while one deployment waits, by tickets.

A place in the queue belongs to a request that is being answered. It lasts for a short time and is renewed as long as
the caller is there; a request that is made again with its id, after the deployer died, finds its place again.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from kadeploy_deployer.domain.errors import AnotherDeploymentWaiting
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


def turn(connection: Connection, ticket: int, *, now: float) -> Turn:
    """Returns who comes before a ticket."""
    waiting = select(deployments.c.id, deployments.c.owner, deployments.c.create_time, deployments.c.wait_until).where(
        deployments.c.waiting_slot == WAITING_SLOT
    )
    row = connection.execute(waiting).one_or_none()
    earlier = select(func.count()).where(queue_places.c.ticket < ticket, queue_places.c.expires_at >= now)
    return Turn(
        waiting_id=row.id if row else "",
        waiting_owner=row.owner if row else "",
        waited=max(now - row.create_time, 0.0) if row else 0.0,
        will_wait=max(row.wait_until - now, 0.0) if row else 0.0,
        ahead=connection.execute(earlier).scalar_one(),
    )


def place_of(connection: Connection, owner: str, request_id: str) -> int:
    """Returns the ticket that a request has already, 0 when it has none."""
    if not request_id:
        return 0
    mine = select(queue_places.c.ticket).where(queue_places.c.owner == owner, queue_places.c.request_id == request_id)
    return connection.execute(mine).scalar_one_or_none() or 0


def keep_place(connection: Connection, ticket: int, *, owner: str, request_id: str, now: float) -> None:
    """Takes a place, or renews it. Places that nobody renewed are dropped."""
    connection.execute(delete(queue_places).where(queue_places.c.expires_at < now, queue_places.c.ticket != ticket))
    renewed = update(queue_places).where(queue_places.c.ticket == ticket).values(expires_at=now + PLACE_SECONDS)
    if connection.execute(renewed).rowcount == 0:
        row = {
            "ticket": ticket,
            "owner": owner,
            "request_id": request_id or None,
            "expires_at": now + PLACE_SECONDS,
        }
        connection.execute(insert(queue_places).values(row))


def leave(connection: Connection, ticket: int) -> None:
    """Gives a place up."""
    connection.execute(delete(queue_places).where(queue_places.c.ticket == ticket))
