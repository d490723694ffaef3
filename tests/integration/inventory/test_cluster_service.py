"""ClusterService over a real server, on both databases."""

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from kadeploy.inventory.v1 import cluster_pb2, inventory_service_pb2, power_driver_pb2
from tests.integration.inventory.conftest import Site
from tests.integration.inventory.requests import (
    a_node,
    an_environment,
    recording,
    refusal,
    registering,
)

pytestmark = pytest.mark.integration


def create(site: Site, name: str, **profile: object) -> cluster_pb2.Cluster:
    cluster = cluster_pb2.Cluster(name=name, profile=cluster_pb2.ClusterProfile(**profile))  # type: ignore[arg-type]
    return site.root.clusters.CreateCluster(inventory_service_pb2.CreateClusterRequest(cluster=cluster))


def get(site: Site, name: str) -> cluster_pb2.Cluster:
    return site.alice.clusters.GetCluster(inventory_service_pb2.GetClusterRequest(name=name))


def delete(site: Site, name: str) -> None:
    site.root.clusters.DeleteCluster(inventory_service_pb2.DeleteClusterRequest(name=name))


def update(site: Site, cluster: cluster_pb2.Cluster, *paths: str) -> cluster_pb2.Cluster:
    request = inventory_service_pb2.UpdateClusterRequest(cluster=cluster, update_mask=FieldMask(paths=paths))
    return site.root.clusters.UpdateCluster(request)


def test_the_default_cluster_is_always_there_with_its_defaults(site: Site) -> None:
    default = get(site, "default")
    assert default.profile.first_check_timeout == Duration(seconds=210)
    assert default.profile.reboot_window.size == 50
    assert default.profile.default_device == "sda"
    error = refusal(lambda: delete(site, "default"))
    assert (error.code.name, error.reason) == ("FAILED_PRECONDITION", "CLUSTER_IN_USE")


def test_a_cluster_is_created_and_read_and_counts_its_nodes(site: Site) -> None:
    created = create(site, "big", default_device="vda", mkfs_options={"ext4": "-q"})
    site.root.nodes.RegisterNodes(registering(a_node(1, cluster="big"), a_node(2)))
    read = get(site, "big")
    assert (read.node_count, get(site, "default").node_count) == (1, 1)
    assert read.profile == created.profile
    assert (read.profile.default_device, read.profile.default_partition) == ("vda", 3)
    assert dict(read.profile.mkfs_options) == {"ext4": "-q"}


IPMI: dict[str, Any] = {
    "kind": power_driver_pb2.POWER_DRIVER_KIND_IPMI,
    "user": "admin",
    "password_file": "/etc/kadeploy/bmc",
}


def test_a_power_driver_is_kept_and_reaches_the_deployer(site: Site) -> None:
    driver = power_driver_pb2.PowerDriver(**IPMI, address="{name}-mgmt:6230", cipher_suite=17)
    create(site, "big", power_driver=driver)
    assert get(site, "big").profile.power_driver == driver
    assert not get(site, "default").profile.HasField("power_driver")
    site.root.nodes.RegisterNodes(registering(a_node(1, cluster="big")))
    asked = inventory_service_pb2.ResolveDeploymentRequest(user="alice", nodes="node-1")
    assert site.deployer.resolution.ResolveDeployment(asked).clusters[0].profile.power_driver == driver


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": 0}, "kind"),
        ({"user": ""}, "user"),
        ({"user": "-v"}, "user"),
        ({"password_file": "bmc"}, "password_file"),
        ({"password_file": ""}, "password_file"),
        ({"address": "{nmae}"}, "address"),
        ({"address": "-H"}, "address"),
        ({"cipher_suite": 300}, "cipher_suite"),
        ({"system": "/redfish/v1/Systems/1"}, "kind"),
        ({"kind": power_driver_pb2.POWER_DRIVER_KIND_REDFISH, "cipher_suite": 3}, "cipher_suite"),
        ({"kind": power_driver_pb2.POWER_DRIVER_KIND_REDFISH, "system": "Systems/1"}, "system"),
    ],
)
def test_a_power_driver_that_cannot_work_is_refused(site: Site, changes: dict[str, Any], field: str) -> None:
    driver = power_driver_pb2.PowerDriver(**{**IPMI, **changes})
    refused = refusal(lambda: create(site, "big", power_driver=driver))
    assert f"cluster.profile.power_driver.{field}" in {violation.field for violation in refused.violations}


def test_a_second_cluster_of_that_name_is_refused(site: Site) -> None:
    error = refusal(lambda: create(site, "default"))
    assert (error.code.name, error.reason) == ("ALREADY_EXISTS", "CLUSTER_EXISTS")


def test_a_bad_profile_is_refused_with_its_field(site: Site) -> None:
    error = refusal(lambda: create(site, "big", kernel_arguments="a\nb"))
    assert error.reason == "INVALID_CLUSTER"
    assert [each.field for each in error.violations] == ["cluster.profile.kernel_arguments"]


def test_clusters_are_listed_by_name_in_pages(site: Site) -> None:
    for name in ("c", "a", "b"):
        create(site, name)
    request = inventory_service_pb2.ListClustersRequest(page_size=3)
    first = site.alice.clusters.ListClusters(request)
    request.page_token = first.next_page_token
    second = site.alice.clusters.ListClusters(request)
    assert [each.name for each in first.clusters] == ["a", "b", "c"]
    assert [each.name for each in second.clusters] == ["default"]
    assert second.next_page_token == ""


def test_an_update_changes_one_field_of_the_profile_and_leaves_defaults_defaults(site: Site) -> None:
    wanted = cluster_pb2.Cluster(
        name="default",
        profile=cluster_pb2.ClusterProfile(kernel_arguments="quiet", default_device="ignored"),
    )
    after = update(site, wanted, "profile.kernel_arguments")
    assert (after.profile.kernel_arguments, after.profile.default_device) == ("quiet", "sda")
    wanted = cluster_pb2.Cluster(
        name="default",
        etag=after.etag,
        profile=cluster_pb2.ClusterProfile(reboot_ladder=[cluster_pb2.REBOOT_LEVEL_HARD]),
    )
    again = update(site, wanted, "profile.reboot_ladder")
    assert again.profile.kernel_arguments == "quiet"
    assert list(again.profile.reboot_ladder) == [cluster_pb2.REBOOT_LEVEL_HARD]
    assert refusal(lambda: update(site, wanted, "profile.reboot_ladder")).reason == "STALE_ETAG"
    emptied = update(site, cluster_pb2.Cluster(name="default"), "profile.reboot_ladder")
    assert len(emptied.profile.reboot_ladder) == 2


@pytest.mark.parametrize(
    ("cluster", "path", "reason"),
    [
        (cluster_pb2.Cluster(name="none"), "profile", "CLUSTER_NOT_FOUND"),
        (cluster_pb2.Cluster(name="default"), "name", "INVALID_CLUSTER"),
        (cluster_pb2.Cluster(name="default"), "profile.none", "INVALID_CLUSTER"),
    ],
)
def test_a_bad_update_is_refused(site: Site, cluster: cluster_pb2.Cluster, path: str, reason: str) -> None:
    assert refusal(lambda: update(site, cluster, path)).reason == reason


def test_a_cluster_goes_when_nothing_stands_in_it(site: Site) -> None:
    create(site, "big")
    site.root.nodes.RegisterNodes(registering(a_node(1, cluster="big")))
    assert refusal(lambda: delete(site, "big")).reason == "CLUSTER_IN_USE"
    site.root.nodes.DeleteNodes(inventory_service_pb2.DeleteNodesRequest(nodes="node-1"))
    site.root.environments.RecordEnvironment(recording(an_environment(cluster="big")))
    assert refusal(lambda: delete(site, "big")).reason == "CLUSTER_IN_USE"
    site.root.environments.DeleteEnvironment(
        inventory_service_pb2.DeleteEnvironmentRequest(environment={"name": "debian"})  # type: ignore[arg-type]
    )
    delete(site, "big")
    assert refusal(lambda: get(site, "big")).reason == "CLUSTER_NOT_FOUND"
