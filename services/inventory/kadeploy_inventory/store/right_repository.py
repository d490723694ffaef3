"""Rights in the database `deploy_right`."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, delete, insert, or_, select

from kadeploy_inventory.app.ports import Key
from kadeploy_inventory.domain.names import WILDCARD
from kadeploy_inventory.domain.right import Granted, Right
from kadeploy_inventory.store.keyset import follows
from kadeploy_inventory.store.tables import rights

_ORDER = (rights.c.user, rights.c.node, rights.c.partition)
FEW = 2000
"""To ask for more nodes than these takes longer than to read all that a user has."""


class RightRepository:
    """The rights as one transaction sees them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, new: Sequence[Right]) -> None:
        """Adds rights, or gives those that are there the new expire time."""
        self.remove(new)
        if new:
            self._connection.execute(insert(rights), [_row(right) for right in new])

    def matching(self, *, users: Collection[str], nodes: Collection[str], partitions: Collection[str]) -> list[Right]:
        """Returns the rights whose words are among these, letter by letter; empty means any."""
        query = select(rights).order_by(*_ORDER)
        for column, words in zip(_ORDER, (users, nodes, partitions), strict=True):
            if words:
                query = query.where(column.in_(words))
        return self._read(query)

    def granted(self, *, user: str, nodes: Collection[str], now: datetime) -> Granted:
        """Returns what the user's rights, and everybody's, open now on nodes, wildcards included."""
        query = select(rights.c.node, rights.c.partition)
        query = query.where(rights.c.user.in_([user, WILDCARD]), _standing(now))
        if len(nodes) <= FEW:
            query = query.where(rights.c.node.in_([*nodes, WILDCARD]))
        return Granted((node, partition) for node, partition in self._connection.execute(query).all())

    def page(
        self,
        *,
        user: str,
        nodes: Collection[str],
        now: datetime,
        after: Key | None,
        limit: int,
    ) -> list[Right]:
        """Returns the next rights that speak of the user and the nodes, wildcards included; empty means any."""
        query = select(rights).order_by(*_ORDER).limit(limit)
        query = query.where(_standing(now))
        if user:
            query = query.where(rights.c.user.in_([user, WILDCARD]))
        if nodes:
            query = query.where(rights.c.node.in_([*nodes, WILDCARD]))
        if after is not None:
            query = query.where(follows([(column, False) for column in _ORDER], after))
        return self._read(query)

    def remove(self, old: Sequence[Right]) -> None:
        """Removes rights."""
        one = delete(rights).where(*(column == bindparam(f"old_{column.name}") for column in _ORDER))
        keys = [{"old_user": right.user, "old_node": right.node, "old_partition": right.partition} for right in old]
        if keys:
            self._connection.execute(one, keys)

    def _read(self, query: Select[Any]) -> list[Right]:
        return [Right(**row) for row in self._connection.execute(query).mappings()]


def _standing(now: datetime) -> ColumnElement[bool]:
    """Rights that have not expired: one is gone when its time has come."""
    return or_(rights.c.expire_time.is_(None), rights.c.expire_time > now)


def _row(right: Right) -> dict[str, Any]:
    return {
        "user": right.user,
        "node": right.node,
        "partition": right.partition,
        "expire_time": right.expire_time,
    }
