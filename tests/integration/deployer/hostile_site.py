"""A deployer as a process of its own beside a real inventory, and users who mean it no good."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import grpc

from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc, deployment_pb2
from kadeploy.inventory.v1 import environment_pb2, inventory_service_pb2
from kadeploy_edge.channel import open_channel
from kadeploy_edge.status import RemoteError, from_rpc_error
from tests.integration.inventory.conftest import Site as InventorySite
from tests.integration.inventory.requests import a_node, an_environment, recording, registering

START_SECONDS = 30.0
SECRET_DIGEST = "sha256:" + "0" * 64


@dataclass(frozen=True, kw_only=True)
class HostileSite:
    """Alice has a right on node-1, bob on node-2; each records environments and asks for plans.

    Attributes:
        directory: with the deployer's settings, key and database.
        images: the directory of images.
        inventory: the real one.
        process: the deployer's.
        address: where it answers.
    """

    directory: Path
    images: Path
    inventory: InventorySite
    process: "subprocess.Popen[bytes]"
    address: str

    def record(self, user: str, name: str, uri: str, *, digest: str = SECRET_DIGEST, size: int = 1000) -> None:
        """Records an environment whose image is somewhere."""
        image = environment_pb2.Image(
            uri=uri,
            kind=environment_pb2.IMAGE_KIND_TAR,
            compression=environment_pb2.COMPRESSION_NONE,
            digest=digest,
            size_bytes=size,
        )
        client = self.inventory.calling_as(f"user:{user}")
        client.environments.RecordEnvironment(recording(an_environment(name, image=image)), timeout=10)

    def plan(self, user: str, nodes: str, environment: str, *, timeout: float = 30.0) -> list[str] | RemoteError:
        """Returns the sentences of a plan, or what is said against it."""
        spec = deployment_pb2.DeploymentSpec(nodes=nodes, environment_name=environment, device="sda", partition=3)
        with open_channel(self.address, caller=f"user:{user}") as channel:
            stub = deployer_service_pb2_grpc.DeploymentServiceStub(channel)
            try:
                answer = stub.PlanDeployment(deployer_service_pb2.PlanDeploymentRequest(spec=spec), timeout=timeout)
            except grpc.RpcError as error:
                return from_rpc_error(error)
        return [action for node in answer.nodes for step in node.steps for action in step.actions]

    def create(self, user: str, nodes: str, environment: str) -> RemoteError | None:
        """Asks for a deployment; returns what is said against it."""
        spec = deployment_pb2.DeploymentSpec(nodes=nodes, environment_name=environment, device="sda", partition=3)
        with open_channel(self.address, caller=f"user:{user}") as channel:
            stub = deployer_service_pb2_grpc.DeploymentServiceStub(channel)
            try:
                stub.CreateDeployment(deployer_service_pb2.CreateDeploymentRequest(spec=spec), timeout=30)
            except grpc.RpcError as error:
                return from_rpc_error(error)
        return None

    def records(self) -> list[Mapping[str, Any]]:
        """Returns the audit records."""
        return [json.loads(line) for line in (self.directory / "audit.json").read_text().splitlines()]

    def seconds_to_end(self, *, at_most: float) -> float:
        """Sends SIGTERM and returns how long the process took to end, or fails."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(at_most)
        return time.monotonic() - began


@contextmanager
def hostile_site(inventory: InventorySite, directory: Path, **settings: Any) -> Iterator[HostileSite]:
    """Starts the deployer; ends it at the end. `settings`: keys at the top of its file."""
    images = directory / "images"
    images.mkdir()
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(str(directory / "key"))
    key.write_public_key(str(directory / "key.pub"))
    values = {
        "address": f"unix:{directory}/d",
        "inventory_address": inventory.address,
        "bootctl_address": f"unix:{directory}/b",
        "cache_directory": "cache",
        "ssh_private_key": "key",
        "deployment_host_keys": "key.pub",
        "image_directories": ["images"],
        "audit_log": "audit.json",
        **settings,
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    config = directory / "deployer.toml"
    config.write_text("\n".join([*lines, 'database.deploy_state = "state.db"', ""]))
    command = [sys.executable, "-m", "kadeploy_deployer", "serve", "--config", str(config)]
    with (directory / "deployer.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "GRPC_VERBOSITY": "NONE"})
    try:
        _wait(directory / "d", process, directory / "deployer.log")
        _describe(inventory)
        yield HostileSite(
            directory=directory, images=images, inventory=inventory, process=process, address=f"unix:{directory}/d"
        )
    finally:
        process.kill()
        process.wait(10)


def _wait(socket: Path, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not socket.is_socket():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def _describe(inventory: InventorySite) -> None:
    inventory.root.nodes.RegisterNodes(registering(a_node(1), a_node(2)), timeout=10)
    for user, node in (("alice", "node-1"), ("bob", "node-2")):
        grant = inventory_service_pb2.GrantRightsRequest(users=[user], nodes=node, partitions=["sda3"])
        inventory.root.rights.GrantRights(grant, timeout=10)
