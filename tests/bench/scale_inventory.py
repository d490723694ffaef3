"""A real inventory in a process of its own, with nodes, an environment and a user's right on each node.

`python -m tests.bench.scale_inventory ADDRESS NODES DEPLOY-URL DEPLOY-RIGHT-URL` prints a line when it answers, and
ends with its input.
"""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlalchemy.engine import URL

from kadeploy.inventory.v1 import environment_pb2, inventory_service_pb2, inventory_service_pb2_grpc, node_pb2
from kadeploy_database.access import SqliteAccess
from kadeploy_edge.channel import open_channel
from kadeploy_edge.garbage import settle
from kadeploy_edge.server import ServerSettings
from kadeploy_inventory import bootstrap
from kadeploy_inventory.settings import Settings
from kadeploy_inventory.store import schema
from kadeploy_inventory.store.engine import open_engine
from tests.fakes.threaded_server import start_in_thread

ROOT = Path(__file__).parents[2]
USER, ENVIRONMENT = "alice", "debian"
GIB = 1024**3
CALL_SECONDS = 120
_DISK = node_pb2.Disk(
    device="sda",
    size_bytes=80 * GIB,
    partitions=[
        node_pb2.Partition(number=1, size_bytes=2 * GIB, role=node_pb2.PARTITION_ROLE_SWAP),
        node_pb2.Partition(number=2, size_bytes=20 * GIB, role=node_pb2.PARTITION_ROLE_PRODUCTION),
        node_pb2.Partition(number=3, size_bytes=20 * GIB),
    ],
)


@contextlib.contextmanager
def served_inventory(nodes: int, urls: Sequence[URL]) -> Iterator[str]:
    """Yields the address of an inventory that knows node0, node1 and so on.

    Args:
        nodes: how many.
        urls: of its two databases, deploy and deploy_right, which are empty.
    """
    with tempfile.TemporaryDirectory() as directory:
        yield from _served(f"unix:{directory}/inventory.sock", nodes, urls)


def _served(address: str, nodes: int, urls: Sequence[URL]) -> Iterator[str]:
    databases = [url.render_as_string() for url in urls]
    command = [sys.executable, "-m", "tests.bench.scale_inventory", address, str(nodes), *databases]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if not process.stdout.readline():
                raise RuntimeError("the inventory did not start")
            yield address
        finally:
            process.stdin.close()
            process.wait(30)


def _fill(address: str, nodes: int) -> None:
    described = [
        node_pb2.Node(
            name=f"node{number}",
            mac_address=f"02:00:00:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}",
            ip_address=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
            disks=[_DISK],
        )
        for number in range(nodes)
    ]
    environment = environment_pb2.Environment(
        name=ENVIRONMENT,
        version=1,
        image=environment_pb2.Image(
            uri="file:///srv/debian.tar.zst",
            kind=environment_pb2.IMAGE_KIND_TAR,
            compression=environment_pb2.COMPRESSION_ZSTD,
            digest="sha256:" + "ab" * 32,
            size_bytes=GIB,
        ),
        boot=environment_pb2.BootSpec(kernel_path="/boot/vmlinuz"),
        file_system="ext4",
    )
    with open_channel(address, caller="user:root") as root, open_channel(address, caller=f"user:{USER}") as user:
        inventory_service_pb2_grpc.NodeServiceStub(root).RegisterNodes(
            inventory_service_pb2.RegisterNodesRequest(nodes=described), timeout=CALL_SECONDS
        )
        inventory_service_pb2_grpc.RightServiceStub(root).GrantRights(
            inventory_service_pb2.GrantRightsRequest(users=[USER], nodes=f"node[0-{nodes - 1}]"), timeout=CALL_SECONDS
        )
        inventory_service_pb2_grpc.EnvironmentServiceStub(user).RecordEnvironment(
            inventory_service_pb2.RecordEnvironmentRequest(environment=environment), timeout=CALL_SECONDS
        )


def main(address: str, nodes: int, urls: Sequence[str]) -> None:
    """Serves until the input ends."""
    engines = {name: open_engine(url) for name, url in zip(schema.METADATA, urls, strict=True)}
    schema.upgrade(engines)
    nowhere = SqliteAccess(path=Path("/nonexistent"))
    settings = Settings(deploy_database=nowhere, deploy_right_database=nowhere, administrators=frozenset({"root"}))
    server, _ = start_in_thread(
        bootstrap.registration(bootstrap.build_runtime(settings, engines)),
        ServerSettings(service=bootstrap.SERVICE, address=address, service_names=bootstrap.SERVICE_NAMES),
    )
    _fill(address, nodes)
    settle()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop()
    for engine in engines.values():
        engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
