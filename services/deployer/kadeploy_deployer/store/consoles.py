"""The consoles that are in use, and their leases."""

from sqlalchemy import Connection, delete, insert, select, update
from typing_extensions import override

from kadeploy_deployer.domain.lease_record import LeaseKind, LeaseRecord
from kadeploy_deployer.ports.console_store import ConsoleSession, ConsoleStore
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.tables import console_slots


def list_leases(connection: Connection) -> list[LeaseRecord]:
    """Returns the leases of all sessions."""
    query = select(console_slots.c.session_id, console_slots.c.lease_seconds, console_slots.c.renewals)
    return [
        LeaseRecord(kind=LeaseKind.CONSOLE, name=row.session_id, seconds=row.lease_seconds, renewals=row.renewals)
        for row in connection.execute(query)
    ]


def free(connection: Connection, lease: LeaseRecord) -> None:
    """Frees a console, if its lease was not renewed since it was seen."""
    as_seen = (console_slots.c.session_id == lease.name, console_slots.c.renewals == lease.renewals)
    connection.execute(delete(console_slots).where(*as_seen))


def take(connection: Connection, session: ConsoleSession) -> str:
    """Takes a console, or returns whose it is. A rival's row raises IntegrityError, and the transaction runs again."""
    mine = select(console_slots.c.owner).where(console_slots.c.node == session.node)
    owner: str | None = connection.execute(mine).scalar_one_or_none()
    if owner is not None:
        return owner
    connection.execute(
        insert(console_slots).values(
            node=session.node,
            session_id=session.id,
            owner=session.owner,
            start_time=session.now,
            lease_seconds=session.lease_seconds,
            renewals=0,
        )
    )
    return ""


class SqlConsoleStore(ConsoleStore):
    """Implements `ports.console_store.ConsoleStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def take(self, session: ConsoleSession) -> str:
        return await self._database.write(lambda c: take(c, session), grows=True)

    @override
    async def renew(self, session_id: str) -> bool:
        mine = update(console_slots).where(console_slots.c.session_id == session_id)
        change = mine.values(renewals=console_slots.c.renewals + 1)
        return await self._database.write(lambda c: c.execute(change).rowcount == 1)

    @override
    async def release(self, session_id: str) -> None:
        gone = delete(console_slots).where(console_slots.c.session_id == session_id)
        await self._database.write(lambda c: c.execute(gone).close())
