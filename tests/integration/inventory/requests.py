"""Requests as a user's tools would make them, and what a refusal says."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from kadeploy.inventory.v1 import environment_pb2, inventory_service_pb2, node_pb2, right_pb2
from kadeploy_edge.status import RemoteError, from_rpc_error

GIB = 1024**3
DIGEST = "sha256:" + "ab" * 32
SDA = node_pb2.Disk(
    device="sda",
    size_bytes=8 * GIB,
    partitions=[
        node_pb2.Partition(number=1, size_bytes=GIB, environment="swap"),
        node_pb2.Partition(number=2, size_bytes=GIB, role=node_pb2.PARTITION_ROLE_PRODUCTION),
        node_pb2.Partition(number=3, size_bytes=4 * GIB, environment="empty"),
    ],
)


def a_node(number: int, **changes: Any) -> node_pb2.Node:
    values: dict[str, Any] = {
        "name": f"node-{number}",
        "mac_address": f"52:54:00:00:{number // 256:02x}:{number % 256:02x}",
        "ip_address": f"10.0.{number // 256}.{number % 256}",
        "disks": [SDA],
    }
    return node_pb2.Node(**(values | changes))


def registering(*nodes: node_pb2.Node, **more: Any) -> inventory_service_pb2.RegisterNodesRequest:
    return inventory_service_pb2.RegisterNodesRequest(nodes=nodes, **more)


def an_environment(name: str = "debian", **changes: Any) -> environment_pb2.Environment:
    values: dict[str, Any] = {
        "name": name,
        "version": 1,
        "image": environment_pb2.Image(
            uri=f"file:///srv/{name}.tar.zst",
            kind=environment_pb2.IMAGE_KIND_TAR,
            compression=environment_pb2.COMPRESSION_ZSTD,
            digest=DIGEST,
            size_bytes=1000,
        ),
        "boot": environment_pb2.BootSpec(kernel_path="/boot/vmlinuz"),
        "file_system": "ext4",
    }
    return environment_pb2.Environment(**(values | changes))


def recording(environment: environment_pb2.Environment) -> inventory_service_pb2.RecordEnvironmentRequest:
    return inventory_service_pb2.RecordEnvironmentRequest(environment=environment)


def words(right: right_pb2.Right) -> tuple[str, str, str]:
    return right.user, right.node, right.partition


def refusal(call: Callable[[], object]) -> RemoteError:
    """Returns what the service says against a call."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return from_rpc_error(caught.value)
