"""Environments in the database `deploy`."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    RowMapping,
    and_,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from kadeploy_inventory.app.ports import Key
from kadeploy_inventory.domain.environment import (
    BootSpec,
    Environment,
    Image,
    OperatingSystem,
    Visibility,
)
from kadeploy_inventory.domain.script_archive import ScriptArchive
from kadeploy_inventory.store.documents import from_document, to_document
from kadeploy_inventory.store.keyset import follows
from kadeploy_inventory.store.tables import environments


class EnvironmentRepository:
    """The environments as one transaction sees them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, environment: Environment) -> None:
        """Adds one version."""
        self._connection.execute(insert(environments), _row(environment))

    def versions(self, name: str, *, owner: str = "") -> list[Environment]:
        """Returns every version of that name, of one owner or of all."""
        query = select(environments).where(environments.c.name == name)
        if owner:
            query = query.where(environments.c.owner == owner)
        query = query.order_by(environments.c.owner, environments.c.version)
        return [_environment(row) for row in self._connection.execute(query).mappings()]

    def recorded_names(self, names: Collection[str]) -> frozenset[str]:
        """Returns those of the names that somebody recorded an environment under."""
        query = select(environments.c.name).where(environments.c.name.in_(names)).distinct()
        return frozenset(self._connection.execute(query).scalars())

    def count_for_cluster(self, cluster: str) -> int:
        """Returns how many environments were made for a cluster."""
        query = select(func.count()).where(environments.c.cluster == cluster)
        return self._connection.execute(query).scalar_one()

    def page(
        self,
        *,
        user: str | None,
        name: str,
        owner: str,
        cluster: str,
        latest: bool,
        after: Key | None,
        limit: int,
    ) -> list[Environment]:
        """Returns the next environments by name, owner and descending version; the port says what filters."""
        columns = environments.c
        query = (
            select(environments)
            .where(_listed(environments, user=user, name=name, owner=owner, cluster=cluster))
            .order_by(columns.name, columns.owner, columns.version.desc())
            .limit(limit)
        )
        if latest:
            newer = environments.alias("newer")
            same = and_(
                newer.c.name == columns.name,
                newer.c.owner == columns.owner,
                newer.c.version > columns.version,
                _listed(newer, user=user, name=name, owner=owner, cluster=cluster),
            )
            query = query.where(~exists().where(same))
        if after is not None:
            order = [(columns.name, False), (columns.owner, False), (columns.version, True)]
            query = query.where(follows(order, after))
        return [_environment(row) for row in self._connection.execute(query).mappings()]

    def replace(self, environment: Environment, *, etag: str) -> bool:
        """Writes what may change in place of the one with this etag; False when that one is gone."""
        same = update(environments).where(environments.c.uid == environment.uid, environments.c.etag == etag)
        row = _row(environment)
        mutable = ("visibility", "image", "preinstall", "postinstalls", "etag")
        changed = self._connection.execute(same, {name: row[name] for name in mutable})
        return changed.rowcount == 1

    def remove(self, uids: Collection[str]) -> None:
        """Removes versions."""
        self._connection.execute(delete(environments).where(environments.c.uid.in_(uids)))


def _listed(table: FromClause, *, user: str | None, name: str, owner: str, cluster: str) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = []
    if user is not None:
        open_to_all = [Visibility.SHARED.value, Visibility.PUBLIC.value]
        conditions.append(or_(table.c.owner == user, table.c.visibility.in_(open_to_all)))
    if name:
        conditions.append(table.c.name == name)
    if owner:
        conditions.append(table.c.owner == owner)
    if cluster:
        conditions.append(or_(table.c.cluster == cluster, table.c.cluster.is_(None)))
    return and_(True, *conditions)


def _row(environment: Environment) -> dict[str, Any]:
    plain = ("uid", "name", "version", "owner", "description", "author", "file_system")
    more = ("partition_type_id", "required_size_bytes", "options", "destructive", "etag")
    values = {name: getattr(environment, name) for name in (*plain, *more)}
    return values | {
        "visibility": environment.visibility.value,
        "operating_system": environment.operating_system.value,
        "image": to_document(environment.image),
        "preinstall": to_document(environment.preinstall),
        "postinstalls": to_document(environment.postinstalls),
        "boot": to_document(environment.boot),
        "cluster": environment.cluster or None,
        "create_time": environment.create_time,
    }


def _environment(row: RowMapping) -> Environment:
    preinstall = row["preinstall"]
    return Environment(
        name=row["name"],
        version=row["version"],
        owner=row["owner"],
        image=from_document(Image, row["image"]),
        boot=from_document(BootSpec, row["boot"]),
        description=row["description"],
        author=row["author"],
        visibility=Visibility(row["visibility"]),
        operating_system=OperatingSystem(row["operating_system"]),
        preinstall=None if preinstall is None else from_document(ScriptArchive, preinstall),
        postinstalls=tuple(from_document(ScriptArchive, each) for each in row["postinstalls"]),
        file_system=row["file_system"],
        partition_type_id=row["partition_type_id"],
        required_size_bytes=row["required_size_bytes"],
        options=row["options"],
        cluster=row["cluster"] or "",
        destructive=row["destructive"],
        uid=row["uid"],
        etag=row["etag"],
        create_time=row["create_time"],
    )
