"""Clusters and their profiles."""

from collections.abc import Callable
from dataclasses import replace

from kadeploy_inventory.app.ports import Clock, Key, MakeId, Work
from kadeploy_inventory.domain.cluster import DEFAULT_CLUSTER, Cluster, check_cluster
from kadeploy_inventory.domain.errors import (
    ClusterExists,
    ClusterInUse,
    ClusterNotFound,
    InvalidCluster,
    StaleEtag,
)
from kadeploy_inventory.domain.problems import Problems


def create_cluster(description: Cluster, *, work: Work, clock: Clock, make_id: MakeId) -> Cluster:
    """Creates a cluster without nodes."""
    cluster = _checked(description)
    if work.clusters.named([cluster.name]):
        message = f"there is a cluster {cluster.name} already"
        raise ClusterExists(message, metadata={"cluster": cluster.name})
    now = clock()
    cluster = replace(cluster, node_count=0, etag=make_id(), create_time=now, update_time=now)
    work.clusters.add(cluster)
    return cluster


def get_cluster(name: str, *, work: Work) -> Cluster:
    """Returns one cluster or raises ClusterNotFound."""
    found = work.clusters.named([name])
    if name not in found:
        raise ClusterNotFound.named(name)
    return found[name]


def list_clusters(*, after: Key | None, limit: int, work: Work) -> list[Cluster]:
    """Returns the next clusters by name."""
    return work.clusters.page(after=after, limit=limit)


def update_cluster(
    name: str,
    *,
    etag: str,
    change: Callable[[Cluster], Cluster],
    work: Work,
    clock: Clock,
    make_id: MakeId,
) -> Cluster:
    """Changes one cluster. `change` sees the profile as it was described, without defaults."""
    present = get_cluster(name, work=work)
    if etag and etag != present.etag:
        raise StaleEtag.of(f"cluster {name}")
    cluster = replace(
        _checked(change(present)),
        node_count=present.node_count,
        etag=make_id(),
        create_time=present.create_time,
        update_time=clock(),
    )
    if not work.clusters.replace(cluster, etag=present.etag):
        raise StaleEtag.of(f"cluster {name}")
    return cluster


def delete_cluster(name: str, *, work: Work) -> None:
    """Removes a cluster that nothing stands in."""
    cluster = get_cluster(name, work=work)
    metadata = {"cluster": name}
    if name == DEFAULT_CLUSTER:
        raise ClusterInUse(f"the cluster {name} always exists", metadata=metadata)
    if cluster.node_count:
        message = f"{cluster.node_count} nodes are in the cluster {name}; move them first"
        raise ClusterInUse(message, metadata=metadata | {"nodes": str(cluster.node_count)})
    environments = work.environments.count_for_cluster(name)
    if environments:
        message = f"{environments} environments were made for the cluster {name}; delete them first"
        raise ClusterInUse(message, metadata=metadata | {"environments": str(environments)})
    work.clusters.remove(name)


def _checked(description: Cluster) -> Cluster:
    problems = Problems("cluster")
    cluster = check_cluster(description, problems)
    if problems:
        raise InvalidCluster.of("the cluster cannot be accepted", problems.found)
    return cluster
