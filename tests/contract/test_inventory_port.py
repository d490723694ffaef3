"""What every Inventory does: the fake one, and the one that speaks to a real inventory."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from google.protobuf import duration_pb2, field_mask_pb2

from kadeploy.inventory.v1 import (
    cluster_pb2,
    command_template_pb2,
    environment_pb2,
    inventory_service_pb2,
    inventory_service_pb2_grpc,
    node_pb2,
)
from kadeploy_database.access import SqliteAccess
from kadeploy_deployer.adapters.inventory_grpc import GrpcInventory
from kadeploy_deployer.domain.snapshot import (
    ArchiveSnapshot,
    CommandSnapshot,
    DeploymentSpec,
    DiskSnapshot,
    EnvironmentSnapshot,
    FileSnapshot,
    NodeSnapshot,
    PartitionSnapshot,
    ProfileSnapshot,
    StepPolicy,
)
from kadeploy_deployer.domain.states import BootMethod, RebootLevel
from kadeploy_deployer.domain.vocabulary import Compression, PartitionRole
from kadeploy_deployer.ports import Inventory, NodeResolution, Resolution, ResolvedNode
from kadeploy_edge.channel import open_channel
from kadeploy_edge.errors import Invalid, Missing, Unreachable
from kadeploy_edge.server import ServerSettings
from kadeploy_inventory import bootstrap
from kadeploy_inventory.settings import Settings
from kadeploy_inventory.store import schema
from tests.fakes.fake_inventory import FakeInventory
from tests.fakes.threaded_server import start_in_thread

GIB = 1024**3
DIGEST = "sha256:" + "ab" * 32
SPEC = DeploymentSpec(nodes="node-[1,9]", environment_name="debian")

DISK = node_pb2.Disk(
    device="vda",
    size_bytes=8 * GIB,
    partitions=[
        node_pb2.Partition(number=1, size_bytes=GIB, type_id=0x82, role=node_pb2.PARTITION_ROLE_SWAP),
        node_pb2.Partition(number=3, size_bytes=4 * GIB, label="deploy", role=node_pb2.PARTITION_ROLE_DEPLOY),
    ],
)
NODE = node_pb2.Node(
    name="node-1",
    mac_address="52:54:00:00:00:01",
    ip_address="10.0.0.1",
    disks=[DISK],
    labels={"rack": "7"},
    uuid="b8945908-d6a6-41a9-611d-74a6ab80b83d",
    commands=command_template_pb2.CommandTemplates(
        power_on=command_template_pb2.CommandTemplate(arguments=["own", "{name}"])
    ),
)
ENVIRONMENT = environment_pb2.Environment(
    name="debian",
    version=2,
    owner="root",
    visibility=environment_pb2.VISIBILITY_PUBLIC,
    image=environment_pb2.Image(
        uri="file:///srv/debian.tar.zst",
        kind=environment_pb2.IMAGE_KIND_TAR,
        compression=environment_pb2.COMPRESSION_ZSTD,
        digest=DIGEST,
        size_bytes=1000,
    ),
    postinstalls=[
        environment_pb2.ScriptArchive(
            uri="file:///srv/post.tgz",
            compression=environment_pb2.COMPRESSION_GZIP,
            digest=DIGEST,
            size_bytes=10,
            script="go.ash",
        )
    ],
    boot=environment_pb2.BootSpec(kernel_path="/vmlinuz", initrd_path="/initrd.img", kernel_arguments="rw"),
    file_system="ext4",
    required_size_bytes=GIB,
)
PROFILE = cluster_pb2.ClusterProfile(
    last_check_timeout=duration_pb2.Duration(seconds=500, nanos=500_000_000),
    commands=command_template_pb2.CommandTemplates(
        power_on=command_template_pb2.CommandTemplate(arguments=["shared-on"]),
        hard_reboot=command_template_pb2.CommandTemplate(arguments=["shared-reset", "{bmc}"]),
    ),
    reboot_window=cluster_pb2.RebootWindow(size=5, pause=duration_pb2.Duration()),
    step_policies=[cluster_pb2.StepPolicy(step="broadcast", timeout=duration_pb2.Duration(seconds=60), retries=3)],
    mkfs_options={"ext4": "-b 4096"},
    default_device="vda",
    boot_method=cluster_pb2.BOOT_METHOD_GRUB,
)

EXPECTED = Resolution(
    nodes=(
        ResolvedNode(
            name="node-1",
            snapshot=NodeSnapshot(
                name="node-1",
                mac_address="52:54:00:00:00:01",
                ip_address="10.0.0.1",
                cluster="default",
                device="vda",
                partition=3,
                bmc_address="node-1-bmc",
                uuid="b8945908-d6a6-41a9-611d-74a6ab80b83d",
                labels={"rack": "7"},
                disks=(
                    DiskSnapshot(
                        device="vda",
                        size_bytes=8 * GIB,
                        partitions=(
                            PartitionSnapshot(number=1, size_bytes=GIB, type_id=0x82, role=PartitionRole.SWAP),
                            PartitionSnapshot(number=3, size_bytes=4 * GIB, label="deploy"),
                        ),
                    ),
                ),
                commands=CommandSnapshot(power_on=("own", "{name}"), hard_reboot=("shared-reset", "{bmc}")),
            ),
            allowed=True,
        ),
        ResolvedNode(name="node-9", snapshot=None, allowed=False),
    ),
    environment=EnvironmentSnapshot(
        name="debian",
        version=2,
        owner="root",
        image=FileSnapshot(
            uri="file:///srv/debian.tar.zst", digest=DIGEST, size_bytes=1000, compression=Compression.ZSTD
        ),
        postinstalls=(
            ArchiveSnapshot(
                file=FileSnapshot(
                    uri="file:///srv/post.tgz", digest=DIGEST, size_bytes=10, compression=Compression.GZIP
                ),
                script="go.ash",
            ),
        ),
        kernel_path="/vmlinuz",
        initrd_path="/initrd.img",
        kernel_arguments="rw",
        file_system="ext4",
        required_size_bytes=GIB,
    ),
    profiles={
        "default": ProfileSnapshot(
            last_check_timeout=500.5,
            reboot_window_size=5,
            reboot_window_pause=0.0,
            reboot_ladder=(RebootLevel.SOFT, RebootLevel.HARD),
            mkfs_options={"ext4": "-b 4096"},
            boot_method=BootMethod.GRUB,
            step_policies={"broadcast": StepPolicy(timeout=60.0, retries=3)},
        )
    },
)


@pytest.fixture
def address(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an inventory that runs and knows a node, an environment and a right."""
    settings = Settings(
        deploy_database=SqliteAccess(path=tmp_path / "deploy.db"),
        deploy_right_database=SqliteAccess(path=tmp_path / "deploy_right.db"),
        administrators=frozenset({"root"}),
    )
    engines = bootstrap.open_engines(settings)
    schema.upgrade(engines)
    server, bound = start_in_thread(
        bootstrap.registration(bootstrap.build_runtime(settings, engines)),
        ServerSettings(
            service=bootstrap.SERVICE,
            address=f"unix:{tmp_path_factory.mktemp('i')}/s",
            service_names=bootstrap.SERVICE_NAMES,
        ),
    )
    with open_channel(bound, caller="user:root") as channel:
        stubs = inventory_service_pb2_grpc
        stubs.ClusterServiceStub(channel).UpdateCluster(
            inventory_service_pb2.UpdateClusterRequest(
                cluster=cluster_pb2.Cluster(name="default", profile=PROFILE),
                update_mask=field_mask_pb2.FieldMask(paths=["profile"]),
            ),
            timeout=10,
        )
        stubs.NodeServiceStub(channel).RegisterNodes(
            inventory_service_pb2.RegisterNodesRequest(nodes=[NODE]), timeout=10
        )
        stubs.EnvironmentServiceStub(channel).RecordEnvironment(
            inventory_service_pb2.RecordEnvironmentRequest(environment=ENVIRONMENT), timeout=10
        )
        stubs.RightServiceStub(channel).GrantRights(
            inventory_service_pb2.GrantRightsRequest(users=["alice"], nodes="node-1", partitions=["vda3"]), timeout=10
        )
    yield bound
    server.stop()
    for engine in engines.values():
        engine.dispose()


@pytest.fixture
async def real(address: str) -> AsyncIterator[GrpcInventory]:
    inventory = GrpcInventory(address)
    yield inventory
    await inventory.close()


@pytest.fixture(params=["fake", "grpc"])
def inventory(request: pytest.FixtureRequest) -> Inventory:
    if request.param == "fake":
        return FakeInventory(EXPECTED)
    real: GrpcInventory = request.getfixturevalue("real")
    return real


async def test_a_request_is_resolved_to_all_that_a_deployment_copies(inventory: Inventory) -> None:
    assert await inventory.resolve(SPEC, user="alice") == EXPECTED


async def test_nodes_are_resolved_without_an_environment(inventory: Inventory) -> None:
    expected = NodeResolution(nodes=EXPECTED.nodes, profiles=EXPECTED.profiles)
    assert await inventory.resolve_nodes("node-[1,9]", user="alice") == expected


async def test_nodes_are_resolved_with_the_target_that_was_named(inventory: Inventory) -> None:
    found = await inventory.resolve_nodes("node-1", user="alice", device="sdb", partition=7)
    (node,) = found.nodes
    assert node.snapshot is not None
    assert (node.snapshot.device, node.snapshot.partition) == ("sdb", 7)


async def test_rights_are_checked_on_a_partition_or_on_any(inventory: Inventory) -> None:
    if isinstance(inventory, FakeInventory):
        inventory.rights = {"node-1": {"vda3"}}
    assert await inventory.check_rights("node-[1,9]", user="alice") == {"node-1": True, "node-9": False}
    assert await inventory.check_rights("node-1", user="alice", partition="vda3") == {"node-1": True}
    assert await inventory.check_rights("node-1", user="alice", partition="vda1") == {"node-1": False}


async def test_bad_node_sets_and_a_silent_inventory_are_told_by_every_call(real: GrpcInventory, tmp_path: Path) -> None:
    for call in (real.resolve_nodes, real.check_rights):
        with pytest.raises(Invalid) as caught:
            await call("node-[1", user="alice")
        assert caught.value.reason == "INVALID_NODE_SET"
    silent = GrpcInventory(f"unix:{tmp_path}/nobody", call_seconds=5.0)
    for call in (silent.resolve_nodes, silent.check_rights):
        with pytest.raises(Unreachable, match="does not answer on unix:"):
            await call("node-1", user="alice")
    await silent.close()


async def test_another_user_is_not_allowed(real: GrpcInventory) -> None:
    resolution = await real.resolve(SPEC, user="bob")
    assert [node.allowed for node in resolution.nodes] == [False, False]


async def test_an_unknown_environment_is_the_inventory_s_word(real: GrpcInventory) -> None:
    with pytest.raises(Missing, match="absent") as caught:
        await real.resolve(DeploymentSpec(nodes="node-1", environment_name="absent"), user="alice")
    assert caught.value.reason == "ENVIRONMENT_NOT_FOUND"


async def test_a_bad_node_set_is_the_inventory_s_word(real: GrpcInventory) -> None:
    with pytest.raises(Invalid) as caught:
        await real.resolve(DeploymentSpec(nodes="node-[1", environment_name="debian"), user="alice")
    assert caught.value.reason == "INVALID_NODE_SET"


async def test_a_version_may_be_asked_for(real: GrpcInventory) -> None:
    spec = DeploymentSpec(nodes="node-1", environment_name="debian", environment_version=1)
    with pytest.raises(Missing):
        await real.resolve(spec, user="alice")
    spec = DeploymentSpec(nodes="node-1", environment_name="debian", environment_version=2, partition=1)
    resolution = await real.resolve(spec, user="alice")
    assert resolution.nodes[0].snapshot is not None
    assert resolution.nodes[0].snapshot.partition == 1
    assert resolution.nodes[0].allowed is False


async def test_a_silent_inventory_is_told_with_its_address(tmp_path: Path) -> None:
    inventory = GrpcInventory(f"unix:{tmp_path}/nobody", call_seconds=5.0)
    with pytest.raises(Unreachable, match="the inventory does not answer on unix:"):
        await inventory.resolve(SPEC, user="alice")
    await inventory.close()


async def test_a_broken_fake_says_what_it_was_told_to() -> None:
    fake = FakeInventory(EXPECTED)
    fake.error = Unreachable("the inventory does not answer")
    with pytest.raises(Unreachable):
        await fake.resolve(SPEC, user="alice")
    assert fake.asked == [(SPEC, "alice")]
