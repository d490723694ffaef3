"""ResolutionService over a real server: what a deployment is told before it begins."""

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from kadeploy.inventory.v1 import cluster_pb2, environment_pb2, inventory_service_pb2
from tests.integration.inventory.conftest import Site
from tests.integration.inventory.requests import (
    a_node,
    an_environment,
    recording,
    refusal,
    registering,
)

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _site(site: Site) -> None:
    profile = cluster_pb2.ClusterProfile(default_device="vda", default_partition=1)
    big = cluster_pb2.Cluster(name="big", profile=profile)
    site.root.clusters.CreateCluster(inventory_service_pb2.CreateClusterRequest(cluster=big))
    site.root.nodes.RegisterNodes(registering(a_node(1), a_node(2), a_node(10, cluster="big")))
    site.alice.environments.RecordEnvironment(recording(an_environment()))


def grant(site: Site, nodes: str, *partitions: str) -> None:
    site.root.rights.GrantRights(
        inventory_service_pb2.GrantRightsRequest(users=["alice"], nodes=nodes, partitions=partitions)
    )


def resolve(
    site: Site, nodes: str, *, environment: str = "debian", user: str = "alice", **more: object
) -> inventory_service_pb2.ResolveDeploymentResponse:
    reference = environment_pb2.EnvironmentReference(name=environment) if environment else None
    request = inventory_service_pb2.ResolveDeploymentRequest(
        user=user,
        nodes=nodes,
        environment=reference,
        **more,  # type: ignore[arg-type]
    )
    return site.deployer.resolution.ResolveDeployment(request)


def test_a_deployment_is_resolved_in_one_call(site: Site) -> None:
    grant(site, "node-1", "sda3")
    grant(site, "node-10")
    response = resolve(site, "node-[1-2,10,99]")
    assert [(each.name, each.allowed, each.device, each.partition) for each in response.nodes] == [
        ("node-1", True, "sda", 3),
        ("node-2", False, "sda", 3),
        ("node-10", True, "vda", 1),
        ("node-99", False, "sda", 3),
    ]
    assert [each.HasField("node") for each in response.nodes] == [True, True, True, False]
    assert response.nodes[0].node.mac_address == "52:54:00:00:00:01"
    assert response.nodes[0].node.disks[0].partitions[2].number == 3
    assert response.nodes[0].node.bmc_address == "node-1-bmc"
    assert (response.environment.name, response.environment.owner) == ("debian", "alice")
    assert [cluster.name for cluster in response.clusters] == ["big", "default"]
    assert response.clusters[0].profile.first_check_timeout == Duration(seconds=210)
    assert response.clusters[0].profile.default_device == "vda"


def test_the_only_disk_of_a_node_is_its_target_where_nobody_names_one(site: Site) -> None:
    one, two, told = a_node(21), a_node(22), a_node(23, cluster="big")
    for node in (one, told):
        node.disks[0].device = "nvme0n1"
    two.disks.add(device="sdb", size_bytes=two.disks[0].size_bytes)
    site.root.nodes.RegisterNodes(registering(one, two, told))
    grant(site, "node-21", "nvme0n1p3")
    found = {each.name: (each.device, each.partition, each.allowed) for each in resolve(site, "node-[21-23]").nodes}
    assert found == {"node-21": ("nvme0n1", 3, True), "node-22": ("sda", 3, False), "node-23": ("vda", 1, False)}
    (chosen,) = resolve(site, "node-21", device="sdb").nodes
    assert chosen.device == "sdb"


def test_nodes_on_one_supply_are_named(site: Site) -> None:
    profile = cluster_pb2.ClusterProfile(power_group_label="pdu", group_commands=["power_off"])
    fed = cluster_pb2.Cluster(name="fed", profile=profile)
    site.root.clusters.CreateCluster(inventory_service_pb2.CreateClusterRequest(cluster=fed))
    labels = {31: {"pdu": "p1"}, 32: {"pdu": "p1"}, 33: {"pdu": "p2"}, 34: {}}
    nodes = [a_node(number, cluster="fed", labels=each) for number, each in labels.items()]
    # A supply may feed a node of another cluster, whose own profile says nothing of it.
    elsewhere = a_node(35, labels={"pdu": "p1"})
    site.root.nodes.RegisterNodes(registering(*nodes, elsewhere))
    found = resolve(site, "node-[31-35]", environment="")
    sharers = {each.name: each.power_sharers for each in found.nodes}
    assert sharers == {
        "node-31": "node-[32,35]",
        "node-32": "node-[31,35]",
        "node-33": "",
        "node-34": "",
        "node-35": "",
    }
    assert {each.name: list(each.profile.group_commands) for each in found.clusters} == {
        "default": [],
        "fed": ["power_off"],
    }


def test_a_deployment_is_told_how_nodes_and_rights_stand_now_although_it_was_told_before(site: Site) -> None:
    grant(site, "node-[1-2]")
    assert [each.allowed for each in resolve(site, "node-[1-2]").nodes] == [True, True]
    changed = a_node(1)
    changed.ip_address = "172.31.9.9"
    site.root.nodes.UpdateNode(
        inventory_service_pb2.UpdateNodeRequest(node=changed, update_mask=FieldMask(paths=["ip_address"]))
    )
    site.root.rights.RevokeRights(inventory_service_pb2.RevokeRightsRequest(users=["alice"], nodes="node-2"))
    first, second = resolve(site, "node-[1-2]").nodes
    assert (first.node.ip_address, first.allowed, second.allowed) == ("172.31.9.9", True, False)


def test_the_target_that_is_named_wins_over_the_clusters_and_the_right_is_for_it(site: Site) -> None:
    grant(site, "node-1", "sda3")
    (node,) = resolve(site, "node-1", device="sda", partition=1).nodes
    assert (node.allowed, node.device, node.partition) == (False, "sda", 1)


def test_no_wildcard_opens_the_site_s_own_partition(site: Site) -> None:
    grant(site, "node-1")
    assert resolve(site, "node-1", partition=3).nodes[0].allowed
    assert not resolve(site, "node-1", partition=2).nodes[0].allowed
    grant(site, "node-1", "sda2")
    assert resolve(site, "node-1", partition=2).nodes[0].allowed


def test_an_environment_is_looked_up_on_the_user_s_behalf(site: Site) -> None:
    error = refusal(lambda: resolve(site, "node-1", user="bob"))
    assert (error.code.name, error.reason) == ("NOT_FOUND", "ENVIRONMENT_NOT_FOUND")


def test_an_environment_for_one_deployment_is_checked_and_recorded_nowhere(site: Site) -> None:
    described = an_environment()
    described.name, described.owner, described.visibility = "mine", "bob", environment_pb2.VISIBILITY_PUBLIC
    found = resolve(site, "node-1", environment="", described_environment=described).environment
    assert (found.name, found.owner, found.version) == ("mine", "alice", 1)
    assert found.visibility == environment_pb2.VISIBILITY_PRIVATE
    assert refusal(lambda: resolve(site, "node-1", environment="mine")).reason == "ENVIRONMENT_NOT_FOUND"
    described.image.digest = "none"
    error = refusal(lambda: resolve(site, "node-1", environment="", described_environment=described))
    assert (error.reason, error.violations[0].field) == ("INVALID_ENVIRONMENT", "environment.image.digest")


def test_nodes_are_resolved_without_an_environment_too(site: Site) -> None:
    response = resolve(site, "node-1", environment="")
    assert not response.HasField("environment")
    assert response.nodes[0].node.name == "node-1"


@pytest.mark.parametrize(
    ("nodes", "more", "reason"),
    [
        ("", {}, "INVALID_NODE_SET"),
        ("node-[1", {}, "INVALID_NODE_SET"),
        ("node-1", {"device": "/dev/sda"}, "INVALID_NODE"),
        ("node-1", {"partition": -1}, "INVALID_NODE"),
        ("node-1", {"user": ""}, "INVALID_RIGHT"),
    ],
)
def test_a_bad_request_is_refused(site: Site, nodes: str, more: dict[str, object], reason: str) -> None:
    assert refusal(lambda: resolve(site, nodes, **more)).reason == reason  # type: ignore[arg-type]
