"""Requests for operations, and what became of their nodes: what makes asking again safe.

An operation that drives a request writes here under its own id. One that was taken over finds another id there, and
changes nothing any more.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, exists, insert, not_, select, update

from kadeploy_deployer.domain.control_errors import OutcomeUnknown
from kadeploy_deployer.domain.error_record import ErrorRecord
from kadeploy_deployer.ports.operation_store import AskedBefore, KnownRequest, NewOperation, NodeNote, RequestName
from kadeploy_deployer.store import operation_leases
from kadeploy_deployer.store.codec import dumps, loads
from kadeploy_deployer.store.tables import operation_nodes, operation_requests

FORGOTTEN_AT_ONCE = 100
WENT_WELL = ""
NO_MARK = ""


def open_request(
    connection: Connection,
    operation: NewOperation,
    request: RequestName,
    nodes: Sequence[str],
    refused: Mapping[str, ErrorRecord],
) -> Mapping[str, ErrorRecord | None]:
    """As in the port. A rival's row raises IntegrityError, and the transaction is run again."""
    row = _find(connection, request.owner, request.request_id)
    if row is None:
        key = operation.id
        connection.execute(
            insert(operation_requests).values(
                id=key,
                operation_id=operation.id,
                owner=request.owner,
                request_id=request.request_id,
                fingerprint=request.fingerprint,
                create_time=operation.now,
                stop_asked=False,
                ended=False,
            )
        )
    elif row.ended or row.is_driven:
        raise AskedBefore
    else:
        key = row.id
        _take_over(connection, key, operation)
    operation_leases.take(connection, operation)
    known = set(connection.execute(select(operation_nodes.c.node).where(_of(key))).scalars())
    fresh = [
        {"operation_request_id": key, "node": node, "begun": False, "mark": NO_MARK}
        for node in nodes
        if node not in known
    ]
    if fresh:
        connection.execute(insert(operation_nodes), fresh)
    _write(
        connection,
        key,
        [NodeNote(node=node, ended=True, error_record=error_record) for node, error_record in refused.items()],
    )
    return _outcomes(connection, key)


def known_request(connection: Connection, owner: str, request_id: str) -> KnownRequest | None:
    """As in the port."""
    row = _find(connection, owner, request_id, locked=False)
    if row is None:
        return None
    return KnownRequest(
        fingerprint=row.fingerprint,
        is_driven=bool(row.is_driven),
        ended=row.ended,
        stop_asked=row.stop_asked,
        outcomes=_outcomes(connection, row.id),
    )


def note_nodes(connection: Connection, operation_id: str, notes: Sequence[NodeNote]) -> bool:
    """As in the port."""
    mine = select(operation_requests.c.id).where(operation_requests.c.operation_id == operation_id).with_for_update()
    key = connection.execute(mine).scalar_one_or_none()
    if key is None:
        return False
    _write(connection, key, notes)
    return True


def marks(connection: Connection, operation_id: str) -> Mapping[str, str]:
    """Returns the marks of the nodes that are begun."""
    query = (
        select(operation_nodes.c.node, operation_nodes.c.mark)
        .join(operation_requests, operation_requests.c.id == operation_nodes.c.operation_request_id)
        .where(operation_requests.c.operation_id == operation_id)
        .where(operation_nodes.c.mark != NO_MARK, operation_nodes.c.outcome.is_(None))
    )
    return dict(connection.execute(query).all())


def ask_stop(connection: Connection, owner: str, request_id: str) -> bool:
    """As in the port."""
    row = _find(connection, owner, request_id)
    if row is not None:
        connection.execute(update(operation_requests).where(operation_requests.c.id == row.id).values(stop_asked=True))
    return row is not None


def stop_asked(connection: Connection, operation_id: str) -> bool:
    """Returns whether the request that an operation drives is to stop."""
    mine = operation_requests.c.operation_id == operation_id
    return bool(connection.execute(select(operation_requests.c.stop_asked).where(mine)).scalar_one_or_none())


def close(connection: Connection, operation_id: str) -> None:
    """Notes that the request that an operation drives has ended, if every node of it has its outcome."""
    mine = operation_requests.c.operation_id == operation_id
    open_node = exists().where(
        operation_nodes.c.operation_request_id == operation_requests.c.id, operation_nodes.c.outcome.is_(None)
    )
    connection.execute(update(operation_requests).where(mine, not_(open_node)).values(ended=True))


def forget(connection: Connection, *, before: float) -> bool:
    """Drops requests that were made before a time and that nobody drives; returns whether there were any."""
    old = select(operation_requests.c.id).where(
        operation_requests.c.create_time < before, not_(operation_leases.is_held(operation_requests.c.operation_id))
    )
    keys = connection.execute(old.order_by(operation_requests.c.create_time).limit(FORGOTTEN_AT_ONCE)).scalars().all()
    if not keys:
        return False
    connection.execute(delete(operation_nodes).where(operation_nodes.c.operation_request_id.in_(keys)))
    connection.execute(delete(operation_requests).where(operation_requests.c.id.in_(keys)))
    return True


def _find(connection: Connection, owner: str, request_id: str, *, locked: bool = True) -> Row[Any] | None:
    driven = operation_leases.is_held(operation_requests.c.operation_id).label("is_driven")
    query = select(operation_requests, driven).where(
        operation_requests.c.owner == owner, operation_requests.c.request_id == request_id
    )
    return connection.execute(query.with_for_update() if locked else query).one_or_none()


def _of(key: str) -> Any:
    return operation_nodes.c.operation_request_id == key


def _take_over(connection: Connection, key: str, operation: NewOperation) -> None:
    """Makes an operation drive a request whose deployer is dead. The row is locked."""
    mine = update(operation_requests).where(operation_requests.c.id == key)
    connection.execute(mine.values(operation_id=operation.id))
    half_done = select(operation_nodes.c.node).where(
        _of(key),
        operation_nodes.c.begun.is_(True),
        operation_nodes.c.mark == NO_MARK,
        operation_nodes.c.outcome.is_(None),
    )
    names = connection.execute(half_done).scalars().all()
    unknown = [
        NodeNote(node=node, ended=True, error_record=ErrorRecord.from_error(OutcomeUnknown(node))) for node in names
    ]
    _write(connection, key, unknown)


def _write(connection: Connection, key: str, notes: Sequence[NodeNote]) -> None:
    # The first outcome stays.
    row = and_(_of(key), operation_nodes.c.node == bindparam("name"), operation_nodes.c.outcome.is_(None))
    begun = [{"name": note.node, "text": note.mark} for note in notes if not note.ended]
    if begun:
        connection.execute(update(operation_nodes).where(row).values(begun=True, mark=bindparam("text")), begun)
    ended = [
        {"name": note.node, "text": WENT_WELL if note.error_record is None else dumps(note.error_record)}
        for note in notes
        if note.ended
    ]
    if ended:
        connection.execute(update(operation_nodes).where(row).values(outcome=bindparam("text")), ended)


def _outcomes(connection: Connection, key: str) -> Mapping[str, ErrorRecord | None]:
    query = select(operation_nodes.c.node, operation_nodes.c.outcome).where(
        _of(key), operation_nodes.c.outcome.is_not(None)
    )
    return {row.node: loads(ErrorRecord, row.outcome) if row.outcome else None for row in connection.execute(query)}
