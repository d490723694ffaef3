"""A real inventory behind a Unix socket, described so that simulated machines can be deployed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kadeploy.inventory.v1 import (
    cluster_pb2,
    command_template_pb2,
    environment_pb2,
    inventory_service_pb2,
    inventory_service_pb2_grpc,
    node_pb2,
)
from kadeploy_database.access import SqliteAccess
from kadeploy_deployer.domain.snapshot import FileSnapshot
from kadeploy_edge.channel import open_channel
from kadeploy_edge.server import ServerSettings
from kadeploy_inventory import bootstrap
from kadeploy_inventory.settings import Settings
from kadeploy_inventory.store import schema
from tests.fakes import snapshots
from tests.fakes.threaded_server import start_in_thread

SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedInventory:
    """Where it answers, and an administrator's stubs."""

    address: str
    nodes: "inventory_service_pb2_grpc.NodeServiceStub"
    clusters: "inventory_service_pb2_grpc.ClusterServiceStub"
    environments: "inventory_service_pb2_grpc.EnvironmentServiceStub"
    rights: "inventory_service_pb2_grpc.RightServiceStub"

    def describe(self, names: Sequence[str], image: FileSnapshot) -> None:
        """Registers nodes as `snapshots.a_node` makes them, and the environment "debian" of an image."""
        commands = command_template_pb2.CommandTemplates(
            **{
                word: command_template_pb2.CommandTemplate(arguments=getattr(snapshots.COMMANDS, word))
                for word in ("hard_reboot", "power_on", "power_off", "power_status")
            }
        )
        cluster = cluster_pb2.Cluster(
            name="default",
            profile=cluster_pb2.ClusterProfile(commands=commands, default_device="vda", default_partition=3),
        )
        request = inventory_service_pb2.UpdateClusterRequest(cluster=cluster)
        request.update_mask.paths.append("profile")
        self.clusters.UpdateCluster(request, timeout=SECONDS)
        made = [snapshots.a_node(name) for name in names]
        self.nodes.RegisterNodes(
            inventory_service_pb2.RegisterNodesRequest(
                nodes=[
                    node_pb2.Node(
                        name=node.name, mac_address=node.mac_address, ip_address=node.ip_address, disks=[_DISK]
                    )
                    for node in made
                ]
            ),
            timeout=SECONDS,
        )
        environment = environment_pb2.Environment(
            name="debian",
            version=1,
            visibility=environment_pb2.VISIBILITY_PUBLIC,
            file_system="ext4",
            image=environment_pb2.Image(
                uri=image.uri,
                kind=environment_pb2.IMAGE_KIND_TAR,
                compression=environment_pb2.COMPRESSION_ZSTD,
                digest=image.digest,
                size_bytes=image.size_bytes,
            ),
            boot=environment_pb2.BootSpec(
                kernel_path="/vmlinuz", initrd_path="/initrd.img", kernel_arguments="console=ttyS0 rw"
            ),
        )
        self.environments.RecordEnvironment(
            inventory_service_pb2.RecordEnvironmentRequest(environment=environment), timeout=SECONDS
        )

    def grant(self, user: str, nodes: str, *, seconds: float | None = None) -> None:
        """Gives a user the right on vda3 of nodes, for so many seconds."""
        request = inventory_service_pb2.GrantRightsRequest(users=[user], nodes=nodes, partitions=["vda3"])
        if seconds is not None:
            end = datetime.now(UTC) + timedelta(seconds=seconds)
            request.expire_time.FromDatetime(end)
        self.rights.GrantRights(request, timeout=SECONDS)

    def revoke(self, user: str, nodes: str) -> None:
        """Takes all rights of a user on nodes away."""
        request = inventory_service_pb2.RevokeRightsRequest(users=[user], nodes=nodes)
        self.rights.RevokeRights(request, timeout=SECONDS)


_DISK = node_pb2.Disk(
    device="vda",
    size_bytes=4 * snapshots.GIB,
    partition_table=node_pb2.PARTITION_TABLE_MBR,
    partitions=[
        node_pb2.Partition(
            number=1, size_bytes=256 * snapshots.MIB, type_id=0x82, label="swap", role=node_pb2.PARTITION_ROLE_SWAP
        ),
        node_pb2.Partition(number=2, size_bytes=512 * snapshots.MIB, label="tmp", role=node_pb2.PARTITION_ROLE_TMP),
        node_pb2.Partition(number=3, size_bytes=2 * snapshots.GIB, label="deploy"),
    ],
)


@contextmanager
def served_inventory(directory: Path) -> Iterator[ServedInventory]:
    """Yields an empty inventory; ends it in the end."""
    settings = Settings(
        deploy_database=SqliteAccess(path=directory / "deploy.db"),
        deploy_right_database=SqliteAccess(path=directory / "deploy_right.db"),
    )
    engines = bootstrap.open_engines(settings)
    schema.upgrade(engines)
    address = f"unix:{directory / 'inventory.sock'}"
    server, _ = start_in_thread(
        bootstrap.registration(bootstrap.build_runtime(settings, engines)),
        ServerSettings(service=bootstrap.SERVICE, address=address, service_names=bootstrap.SERVICE_NAMES),
    )
    try:
        with open_channel(address, caller="user:root") as channel:
            yield ServedInventory(
                address=address,
                nodes=inventory_service_pb2_grpc.NodeServiceStub(channel),
                clusters=inventory_service_pb2_grpc.ClusterServiceStub(channel),
                environments=inventory_service_pb2_grpc.EnvironmentServiceStub(channel),
                rights=inventory_service_pb2_grpc.RightServiceStub(channel),
            )
    finally:
        server.stop()
        for engine in engines.values():
            engine.dispose()
