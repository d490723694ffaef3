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
from kadeploy_inventory.domain.environment_lookup import Search
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

    def find(self, name: str, version: int | None, search: Search) -> Environment | None:
        """Returns the version that is meant, the latest where none is named; by an alias where no name fits."""
        return self._find("name", name, version, search) or self._find("alias", name, version, search)

    def _find(self, by: str, name: str, version: int | None, search: Search) -> Environment | None:
        # Each visibility has its own stretch of an index, at whose end the latest version stands.
        found = [
            row
            for visibility in search.visibilities or (None,)
            if (row := self._last(by, name, version, search.owner, visibility)) is not None
        ]
        latest = min(found, key=lambda row: (-row["version"], row["owner"]), default=None)
        return None if latest is None else _environment(latest)

    def _last(
        self, by: str, name: str, version: int | None, owner: str, visibility: Visibility | None
    ) -> RowMapping | None:
        columns = environments.c
        here = [columns[by] == name]
        if owner:
            here.append(columns.owner == owner)
        if visibility is not None:
            here.append(columns.visibility == visibility.value)
        if version is None:
            version = self._connection.execute(select(func.max(columns.version)).where(*here)).scalar_one()
        if version is None:
            return None
        query = (
            select(environments).where(*here, columns.version == version).order_by(columns.owner, columns.name).limit(1)
        )
        return self._connection.execute(query).mappings().one_or_none()

    def uids(self, name: str, owner: str) -> dict[int, str]:
        """Returns the uids of an owner's versions of a name, in ascending order."""
        columns = environments.c
        query = select(columns.version, columns.uid).where(columns.name == name, columns.owner == owner)
        return dict(self._connection.execute(query.order_by(columns.version)).all())

    def count(self, owner: str, *, name: str = "") -> int:
        """Returns how many an owner has, of one name or of all."""
        query = select(func.count()).select_from(environments).where(*_of(owner, name))
        return self._connection.execute(query).scalar_one()

    def oldest(self, owner: str, *, name: str = "") -> Environment | None:
        """Returns the one of an owner's that was recorded first, of one name or of all."""
        query = select(environments).where(*_of(owner, name)).order_by(environments.c.create_time).limit(1)
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else _environment(row)

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
        mutable = ("visibility", "destructive", "image", "preinstall", "postinstalls", "etag")
        changed = self._connection.execute(same, {name: row[name] for name in mutable})
        return changed.rowcount == 1

    def remove(self, uids: Collection[str]) -> None:
        """Removes versions."""
        self._connection.execute(delete(environments).where(environments.c.uid.in_(uids)))


def _of(owner: str, name: str) -> list[ColumnElement[bool]]:
    mine = [environments.c.owner == owner]
    return [*mine, environments.c.name == name] if name else mine


def _listed(table: FromClause, *, user: str | None, name: str, owner: str, cluster: str) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = []
    if user is not None:
        open_to_all = [Visibility.SHARED.value, Visibility.PUBLIC.value]
        conditions.append(or_(table.c.owner == user, table.c.visibility.in_(open_to_all)))
    if name:
        conditions.append(or_(table.c.name == name, table.c.alias == name))
    if owner:
        conditions.append(table.c.owner == owner)
    if cluster:
        conditions.append(or_(table.c.cluster == cluster, table.c.cluster.is_(None)))
    return and_(True, *conditions)


def _row(environment: Environment) -> dict[str, Any]:
    plain = ("uid", "name", "version", "owner", "description", "author", "file_system", "alias")
    more = ("partition_type_id", "required_size_bytes", "options", "destructive", "etag", "architecture")
    values = {name: getattr(environment, name) for name in (*plain, *more, "running_system_refused")}
    return values | {
        "visibility": environment.visibility.value,
        "operating_system": environment.operating_system.value,
        "image": to_document(environment.image),
        "preinstall": to_document(environment.preinstall),
        "postinstalls": to_document(environment.postinstalls),
        "boot": to_document(environment.boot),
        "custom_variables": dict(environment.custom_variables),
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
        alias=row["alias"],
        architecture=row["architecture"],
        custom_variables=row["custom_variables"] or {},
        running_system_refused=row["running_system_refused"],
        uid=row["uid"],
        etag=row["etag"],
        create_time=row["create_time"],
    )
