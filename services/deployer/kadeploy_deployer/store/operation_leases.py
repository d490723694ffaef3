"""The leases of operations: one row for each that holds something. Whatever belongs to one without a row is free."""

from sqlalchemy import ColumnElement, Connection, delete, exists, insert, select, update

from kadeploy_deployer.domain.lease_record import LeaseKind, LeaseRecord
from kadeploy_deployer.ports.operation_store import NewOperation
from kadeploy_deployer.store.tables import console_slots, node_locks, operation_leases


def take(connection: Connection, operation: NewOperation) -> None:
    """Takes a lease for an operation, or renews the one that it has."""
    if not renew(connection, operation.id):
        row = {"operation_id": operation.id, "lease_seconds": operation.lease_seconds, "renewals": 0}
        connection.execute(insert(operation_leases).values(row))


def renew(connection: Connection, operation_id: str) -> bool:
    """Renews a lease; returns False when it is not held: it has run out, and what it held is somebody else's."""
    mine = update(operation_leases).where(operation_leases.c.operation_id == operation_id)
    return connection.execute(mine.values(renewals=operation_leases.c.renewals + 1)).rowcount == 1


def release(connection: Connection, operation_id: str) -> None:
    """Frees all that an operation holds, and its lease."""
    connection.execute(delete(operation_leases).where(operation_leases.c.operation_id == operation_id))
    for table in (node_locks, console_slots):
        connection.execute(delete(table).where(table.c.operation_id == operation_id))


def list_leases(connection: Connection) -> list[LeaseRecord]:
    """Returns the leases of all operations."""
    return [
        LeaseRecord(kind=LeaseKind.OPERATION, name=row.operation_id, seconds=row.lease_seconds, renewals=row.renewals)
        for row in connection.execute(select(operation_leases))
    ]


def free(connection: Connection, lease: LeaseRecord) -> None:
    """Frees all that an operation holds, if its lease was not renewed since it was seen."""
    as_seen = (operation_leases.c.operation_id == lease.name, operation_leases.c.renewals == lease.renewals)
    if connection.execute(delete(operation_leases).where(*as_seen)).rowcount == 1:
        release(connection, lease.name)


def is_held(operation_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Returns the condition that the operation which a column names has a lease."""
    return exists().where(operation_leases.c.operation_id == operation_id)
