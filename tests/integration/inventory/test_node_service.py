"""NodeService over a real server, on both databases: all or nothing, pages, changes, etags."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kadeploy.inventory.v1 import (
    cluster_pb2,
    command_template_pb2,
    inventory_service_pb2,
    node_pb2,
)
from kadeploy_edge.status import from_rpc_error
from tests.integration.inventory.conftest import Client, Site
from tests.integration.inventory.requests import (
    GIB,
    SDA,
    a_node,
    an_environment,
    recording,
    refusal,
    registering,
)

pytestmark = pytest.mark.integration


def names(client: Client, **wanted: str) -> list[str]:
    request = inventory_service_pb2.ListNodesRequest(page_size=500, filter=inventory_service_pb2.NodeFilter(**wanted))
    return [node.name for node in client.nodes.ListNodes(request).nodes]


def get(client: Client, name: str) -> node_pb2.Node:
    return client.nodes.GetNode(inventory_service_pb2.GetNodeRequest(name=name))


def test_a_registered_site_can_be_read_by_every_user(site: Site) -> None:
    response = site.root.nodes.RegisterNodes(registering(a_node(10), a_node(2), a_node(1)))
    assert list(response.created) == ["node-10", "node-2", "node-1"]
    assert [node.name for node in response.nodes] == ["node-10", "node-2", "node-1"]
    assert names(site.alice) == ["node-1", "node-2", "node-10"]
    node = get(site.alice, "node-2")
    assert node == response.nodes[1]
    assert (node.mac_address, node.cluster, node.firmware) == (
        "52:54:00:00:00:02",
        "default",
        node_pb2.FIRMWARE_BIOS,
    )
    assert node.uid
    assert node.etag
    assert node.create_time == node.update_time
    assert [partition.type_id for partition in node.disks[0].partitions] == [0x82, 0x83, 0x83]


IDENTITY = node_pb2.DiskIdentity(
    serial="S3Z9 NB0K1",
    wwn="0x5000c500a1b2c3d4",
    link="by-path/pci-0000:17:00.0-scsi-0:0:0:0",
    kernel_name="cciss/c0d0",
    size_bytes=480103981056,
)


def test_what_a_disk_is_known_by_is_kept(site: Site) -> None:
    known = node_pb2.Disk(device="sdb", size_bytes=SDA.size_bytes, partitions=SDA.partitions, identity=IDENTITY)
    described = a_node(1, disks=[SDA, known])
    site.root.nodes.RegisterNodes(registering(described))
    plain, identified = get(site.alice, "node-1").disks
    assert (plain.HasField("identity"), identified.identity) == (False, IDENTITY)
    assert list(site.root.nodes.RegisterNodes(registering(described)).created) == []
    changed = a_node(
        1, disks=[SDA, node_pb2.Disk(device="sdb", size_bytes=GIB, identity=node_pb2.DiskIdentity(wwn="0x1"))]
    )
    assert refusal(lambda: site.root.nodes.RegisterNodes(registering(changed))).reason == "NODE_EXISTS"


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("serial", " S1", "must not begin or end with a blank"),
        ("wwn", "0" * 129, "must not be longer than 128 characters"),
        ("link", "by-path/../../../etc/passwd", "is no link such as by-path/"),
        ("link", "by-uuid/1", "is no link such as by-path/"),
        ("kernel_name", "../sda", "is no device file of a disk such as sda"),
        ("size_bytes", -1, "must be positive"),
    ],
)
def test_what_can_be_no_identity_is_refused(site: Site, field: str, value: Any, sentence: str) -> None:
    identity = node_pb2.DiskIdentity(**{field: value})
    disk = node_pb2.Disk(device="sda", size_bytes=SDA.size_bytes, identity=identity)
    refused = refusal(lambda: site.root.nodes.RegisterNodes(registering(a_node(1, disks=[disk]))))
    assert refused.violations[0].field == f"nodes[0].disks[0].identity.{field}"
    assert sentence in refused.violations[0].description


def test_registering_again_changes_nothing(site: Site) -> None:
    first = site.root.nodes.RegisterNodes(registering(a_node(1)))
    second = site.root.nodes.RegisterNodes(registering(a_node(1, mac_address="52-54-00-00-00-01"), a_node(2)))
    assert list(second.created) == ["node-2"]
    assert second.nodes[0] == first.nodes[0]


def test_registering_with_validate_only_tells_what_would_be_and_changes_nothing(site: Site) -> None:
    response = site.root.nodes.RegisterNodes(registering(a_node(1), validate_only=True))
    assert list(response.created) == ["node-1"]
    assert response.nodes[0].disks == get_disks()
    assert names(site.root) == []


def get_disks() -> list[node_pb2.Disk]:
    disk = node_pb2.Disk()
    disk.CopyFrom(SDA)
    disk.partition_table = node_pb2.PARTITION_TABLE_MBR
    swap, production, target = disk.partitions
    swap.type_id, production.type_id, target.type_id = 0x82, 0x83, 0x83
    swap.role, target.role = node_pb2.PARTITION_ROLE_SWAP, node_pb2.PARTITION_ROLE_DEPLOY
    production.environment = "undefined"
    for partition in disk.partitions:
        partition.type = node_pb2.PARTITION_TYPE_PRIMARY
    return [disk]


TAKEN, TWICE = "b8945908-d6a6-41a9-611d-74a6ab80b83d", "b8945908-d6a6-41a9-611d-74a6ab80b83e"


@pytest.mark.parametrize("validate_only", [False, True])
@pytest.mark.parametrize(
    ("spoilt", "code", "reason", "field"),
    [
        (a_node(3, name="Node"), "INVALID_ARGUMENT", "INVALID_NODE", "nodes[1].name"),
        (a_node(3, mac_address="x"), "INVALID_ARGUMENT", "INVALID_NODE", "nodes[1].mac_address"),
        (a_node(3, uuid="b8945908"), "INVALID_ARGUMENT", "INVALID_NODE", "nodes[1].uuid"),
        (a_node(3, uuid="ffffffff-ffff-ffff-ffff-ffffffffffff"), "INVALID_ARGUMENT", "INVALID_NODE", "nodes[1].uuid"),
        (a_node(3, uuid=TWICE), "INVALID_ARGUMENT", "INVALID_NODE", "nodes[1].uuid"),
        (a_node(3, ip_address="10.0.0.2"), "INVALID_ARGUMENT", "INVALID_NODE", "nodes[1].ip_address"),
        (a_node(3, name="node-2"), "INVALID_ARGUMENT", "INVALID_NODE", "nodes[1].name"),
        (a_node(3, cluster="none"), "NOT_FOUND", "CLUSTER_NOT_FOUND", ""),
        (a_node(3, mac_address="52:54:00:00:00:01"), "ALREADY_EXISTS", "ADDRESS_TAKEN", ""),
        (a_node(3, ip_address="10.0.0.1"), "ALREADY_EXISTS", "ADDRESS_TAKEN", ""),
        (a_node(3, uuid=TAKEN), "ALREADY_EXISTS", "ADDRESS_TAKEN", ""),
        (a_node(1, uuid=TAKEN, ip_address="10.0.0.9"), "ALREADY_EXISTS", "NODE_EXISTS", ""),
        (
            a_node(3, disks=[node_pb2.Disk(device="sda", size_bytes=GIB, partitions=SDA.partitions)]),
            "INVALID_ARGUMENT",
            "INVALID_PARTITION_TABLE",
            "nodes[1].disks[0].partitions",
        ),
    ],
)
def test_one_bad_node_leaves_nothing_registered(
    site: Site, spoilt: node_pb2.Node, code: str, reason: str, field: str, *, validate_only: bool
) -> None:
    site.root.nodes.RegisterNodes(registering(a_node(1, uuid=TAKEN)))
    request = registering(a_node(2, uuid=TWICE), spoilt, validate_only=validate_only)
    error = refusal(lambda: site.root.nodes.RegisterNodes(request))
    assert (error.code.name, error.reason) == (code, reason)
    assert [each.field for each in error.violations] == ([field] if field else [])
    assert names(site.root) == ["node-1"]


def test_nothing_to_register_is_refused(site: Site) -> None:
    assert refusal(lambda: site.root.nodes.RegisterNodes(registering())).reason == "INVALID_NODE"


SPOILS = ("", "mac", "ip", "name", "table", "cluster")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(1, 30), st.integers(1, 30), st.sampled_from(SPOILS)),
        min_size=1,
        max_size=6,
    )
)
def test_a_description_is_registered_whole_or_not_at_all(site: Site, described: list[tuple[int, int, str]]) -> None:
    spoils: dict[str, dict[str, Any]] = {
        "mac": {"mac_address": "x"},
        "ip": {"ip_address": "10.0.0"},
        "name": {"name": "Node_"},
        "table": {"disks": [node_pb2.Disk(device="sda", size_bytes=1, partitions=SDA.partitions)]},
        "cluster": {"cluster": "none"},
    }
    nodes = [
        a_node(number, **({"ip_address": f"10.0.1.{address}"} | spoils.get(spoilt, {})))
        for number, address, spoilt in described
    ]
    before = names(site.root)
    try:
        response = site.root.nodes.RegisterNodes(registering(*nodes))
    except grpc.RpcError as error:
        assert from_rpc_error(error).reason  # noqa: PT017 - refused by a word of the contract
        assert names(site.root) == before
    else:
        assert set(names(site.root)) == {*before, *(node.name for node in nodes)}
        assert set(response.created).isdisjoint(before)


def test_two_callers_who_want_one_address_do_not_both_get_it(site: Site) -> None:
    def register(number: int) -> str:
        node = a_node(number, mac_address="52:54:00:00:00:ff")
        try:
            site.root.nodes.RegisterNodes(registering(node))
        except grpc.RpcError as error:
            return from_rpc_error(error).reason
        return "registered"

    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(pool.map(register, range(1, 9)))
    assert outcomes == ["ADDRESS_TAKEN"] * 7 + ["registered"]
    assert len(names(site.root)) == 1


def test_three_hundred_nodes_are_registered_in_one_call(site: Site) -> None:
    site.root.nodes.RegisterNodes(registering(*(a_node(number) for number in range(1, 301))))
    assert names(site.root) == [f"node-{number}" for number in range(1, 301)]


def test_an_environment_that_is_not_registered_becomes_undefined_with_a_notice(site: Site) -> None:
    site.root.environments.RecordEnvironment(recording(an_environment("debian")))
    partitions = [
        node_pb2.Partition(number=1, size_bytes=GIB, environment="old"),
        node_pb2.Partition(number=2, size_bytes=GIB, environment="debian"),
    ]
    node = a_node(1, disks=[node_pb2.Disk(device="sda", size_bytes=8 * GIB, partitions=partitions)])
    response = site.root.nodes.RegisterNodes(registering(node))
    assert list(response.notices) == ["environment old is not registered: undefined"]
    stored = get(site.root, "node-1").disks[0].partitions
    assert [each.environment for each in stored] == ["undefined", "debian"]
    site.root.environments.RecordEnvironment(recording(an_environment("old")))
    assert list(site.root.nodes.RegisterNodes(registering(node)).created) == []


def test_the_list_is_cut_into_pages_that_survive_removals(site: Site) -> None:
    site.root.nodes.RegisterNodes(registering(*(a_node(number) for number in range(1, 13))))
    request = inventory_service_pb2.ListNodesRequest(page_size=5)
    first = site.alice.nodes.ListNodes(request)
    site.root.nodes.DeleteNodes(inventory_service_pb2.DeleteNodesRequest(nodes="node-[1-6]"))
    request.page_token = first.next_page_token
    second = site.alice.nodes.ListNodes(request)
    request.page_token = second.next_page_token
    third = site.alice.nodes.ListNodes(request)
    assert [node.name for node in first.nodes] == [f"node-{number}" for number in range(1, 6)]
    assert [node.name for node in second.nodes] == [f"node-{number}" for number in range(7, 12)]
    assert [node.name for node in third.nodes] == ["node-12"]
    assert third.next_page_token == ""


def test_the_list_is_filtered_by_node_set_and_cluster(site: Site) -> None:
    big = cluster_pb2.Cluster(name="big")
    site.root.clusters.CreateCluster(inventory_service_pb2.CreateClusterRequest(cluster=big))
    nodes = [a_node(1), a_node(2, cluster="big"), a_node(3, cluster="big")]
    site.root.nodes.RegisterNodes(registering(*nodes))
    assert names(site.alice, nodes="node-[1-2,9]") == ["node-1", "node-2"]
    assert names(site.alice, cluster="big") == ["node-2", "node-3"]
    assert names(site.alice, nodes="node-[1-2]", cluster="big") == ["node-2"]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (inventory_service_pb2.ListNodesRequest(page_size=-1), "INVALID_PAGE_SIZE"),
        (inventory_service_pb2.ListNodesRequest(page_token="x"), "INVALID_PAGE_TOKEN"),
        (
            inventory_service_pb2.ListNodesRequest(filter=inventory_service_pb2.NodeFilter(nodes="n[1-")),
            "INVALID_NODE_SET",
        ),
    ],
)
def test_a_bad_list_request_is_refused(
    site: Site, request_: inventory_service_pb2.ListNodesRequest, reason: str
) -> None:
    assert refusal(lambda: site.alice.nodes.ListNodes(request_)).reason == reason


def test_a_token_of_another_filter_is_refused(site: Site) -> None:
    site.root.nodes.RegisterNodes(registering(a_node(1), a_node(2)))
    page = site.alice.nodes.ListNodes(inventory_service_pb2.ListNodesRequest(page_size=1))
    request = inventory_service_pb2.ListNodesRequest(
        page_token=page.next_page_token,
        filter=inventory_service_pb2.NodeFilter(cluster="default"),
    )
    assert refusal(lambda: site.alice.nodes.ListNodes(request)).reason == "INVALID_PAGE_TOKEN"


def update(site: Site, node: node_pb2.Node, *paths: str) -> node_pb2.Node:
    request = inventory_service_pb2.UpdateNodeRequest(node=node, update_mask=FieldMask(paths=paths))
    return site.root.nodes.UpdateNode(request)


def test_an_update_changes_the_fields_of_the_mask_alone(site: Site) -> None:
    before = site.root.nodes.RegisterNodes(registering(a_node(1))).nodes[0]
    template = command_template_pb2.CommandTemplate(arguments=["ipmitool", "-H", "{bmc}"])
    wanted = node_pb2.Node(
        name="node-1",
        etag=before.etag,
        ip_address="10.9.9.9",
        mac_address="ignored",
        commands=command_template_pb2.CommandTemplates(power_on=template),
    )
    after = update(site, wanted, "ip_address", "commands.power_on")
    assert (after.ip_address, after.mac_address) == ("10.9.9.9", before.mac_address)
    assert after.commands.power_on == template
    assert after.disks == before.disks
    assert after.uid == before.uid
    assert after.etag != before.etag
    assert get(site.alice, "node-1") == after


def test_the_uuid_of_a_machine_is_told_later_kept_in_lower_case_and_taken_away_again(site: Site) -> None:
    site.root.nodes.RegisterNodes(registering(a_node(1), a_node(2)))
    assert update(site, node_pb2.Node(name="node-1", uuid=TAKEN.upper()), "uuid").uuid == TAKEN
    assert get(site.alice, "node-1").uuid == TAKEN
    error = refusal(lambda: update(site, node_pb2.Node(name="node-2", uuid=TAKEN), "uuid"))
    assert (error.reason, error.metadata["holder"]) == ("ADDRESS_TAKEN", "node-1")
    assert update(site, node_pb2.Node(name="node-1"), "uuid").uuid == ""
    assert update(site, node_pb2.Node(name="node-2", uuid=TAKEN), "uuid").uuid == TAKEN


def test_an_update_can_give_a_node_other_disks(site: Site) -> None:
    site.root.nodes.RegisterNodes(registering(a_node(1)))
    disk = node_pb2.Disk(device="nvme0n1", size_bytes=9 * GIB)
    after = update(site, node_pb2.Node(name="node-1", disks=[disk]), "disks")
    assert [each.device for each in after.disks] == ["nvme0n1"]
    assert get(site.alice, "node-1").disks == after.disks


@pytest.mark.parametrize(
    ("wanted", "path", "reason"),
    [
        (node_pb2.Node(name="node-9"), "ip_address", "NODE_NOT_FOUND"),
        (node_pb2.Node(name="node-1", ip_address="x"), "ip_address", "INVALID_NODE"),
        (node_pb2.Node(name="node-1", ip_address="10.0.0.2"), "ip_address", "ADDRESS_TAKEN"),
        (node_pb2.Node(name="node-1", cluster="none"), "cluster", "CLUSTER_NOT_FOUND"),
        (node_pb2.Node(name="node-1", etag="old"), "labels", "STALE_ETAG"),
        (node_pb2.Node(name="node-1"), "name", "INVALID_NODE"),
        (
            node_pb2.Node(
                name="node-1",
                disks=[
                    node_pb2.Disk(
                        device="sda",
                        size_bytes=8 * GIB,
                        partitions=[node_pb2.Partition(number=1, size_bytes=1, environment="none")],
                    )
                ],
            ),
            "disks",
            "INVALID_NODE",
        ),
    ],
)
def test_a_bad_update_is_refused_and_changes_nothing(site: Site, wanted: node_pb2.Node, path: str, reason: str) -> None:
    before = site.root.nodes.RegisterNodes(registering(a_node(1), a_node(2))).nodes[0]
    assert refusal(lambda: update(site, wanted, path)).reason == reason
    assert get(site.root, "node-1") == before


def test_the_faster_of_two_updates_with_one_etag_wins(site: Site) -> None:
    before = site.root.nodes.RegisterNodes(registering(a_node(1))).nodes[0]

    def write(number: int) -> str:
        wanted = node_pb2.Node(name="node-1", etag=before.etag, labels={"writer": str(number)})
        try:
            update(site, wanted, "labels")
        except grpc.RpcError as error:
            return from_rpc_error(error).reason
        return "written"

    with ThreadPoolExecutor(6) as pool:
        outcomes = sorted(pool.map(write, range(6)))
    assert outcomes == ["STALE_ETAG"] * 5 + ["written"]


def test_removing_nodes_answers_for_each_and_may_be_repeated(site: Site) -> None:
    site.root.nodes.RegisterNodes(registering(a_node(1), a_node(2), a_node(10)))
    request = inventory_service_pb2.DeleteNodesRequest(nodes="node-[1,3,10]")
    first = site.root.nodes.DeleteNodes(request).results
    again = site.root.nodes.DeleteNodes(request).results
    assert [(each.node, each.status.code) for each in first] == [
        ("node-1", 0),
        ("node-3", grpc.StatusCode.NOT_FOUND.value[0]),
        ("node-10", 0),
    ]
    assert {each.status.code for each in again} == {grpc.StatusCode.NOT_FOUND.value[0]}
    assert names(site.root) == ["node-2"]
    assert list(site.root.nodes.RegisterNodes(registering(a_node(1))).created) == ["node-1"]
