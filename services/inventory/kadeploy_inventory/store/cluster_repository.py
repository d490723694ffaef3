"""Clusters in the database `deploy`."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, delete, func, insert, select, update

from kadeploy_inventory.app.ports import Key
from kadeploy_inventory.domain.cluster import Cluster, ClusterProfile
from kadeploy_inventory.store.documents import from_document, to_document
from kadeploy_inventory.store.tables import clusters, nodes


class ClusterRepository:
    """The clusters as one transaction sees them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, cluster: Cluster) -> None:
        """Adds a cluster."""
        self._connection.execute(insert(clusters), _row(cluster))

    def named(self, names: Collection[str]) -> dict[str, Cluster]:
        """Returns those of the named clusters that exist."""
        found = self._read(_counted().where(clusters.c.name.in_(names)))
        return {cluster.name: cluster for cluster in found}

    def page(self, *, after: Key | None, limit: int) -> list[Cluster]:
        """Returns the next clusters by name."""
        query = _counted().order_by(clusters.c.name).limit(limit)
        return self._read(query if after is None else query.where(clusters.c.name > after[0]))

    def replace(self, cluster: Cluster, *, etag: str) -> bool:
        """Writes the cluster in place of the one with this etag; False when that one is gone."""
        same = update(clusters).where(clusters.c.name == cluster.name, clusters.c.etag == etag)
        return self._connection.execute(same, _row(cluster)).rowcount == 1

    def remove(self, name: str) -> None:
        """Removes a cluster; the foreign keys refuse it while something stands in it."""
        self._connection.execute(delete(clusters).where(clusters.c.name == name))

    def _read(self, query: Select[Any]) -> list[Cluster]:
        return [_cluster(row) for row in self._connection.execute(query).mappings()]


def _counted() -> Select[Any]:
    inside = select(func.count()).where(nodes.c.cluster == clusters.c.name).scalar_subquery()
    return select(clusters, inside.label("node_count"))


def _row(cluster: Cluster) -> dict[str, Any]:
    return {
        "name": cluster.name,
        "profile": to_document(cluster.profile),
        "etag": cluster.etag,
        "create_time": cluster.create_time,
        "update_time": cluster.update_time,
    }


def _cluster(row: RowMapping) -> Cluster:
    return Cluster(
        name=row["name"],
        profile=from_document(ClusterProfile, row["profile"]),
        node_count=row["node_count"],
        etag=row["etag"],
        create_time=row["create_time"],
        update_time=row["update_time"],
    )
