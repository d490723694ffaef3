"""What the scripts of docs/examples/batch need: the commands, settings of the scheduler's own, a deployer."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_edge.channel import open_channel
from kadeploy_edge.server import ServerSettings
from tests.fakes import deployer_services
from tests.fakes.deployer_services import DeployerServices
from tests.fakes.threaded_server import start_in_thread
from tests.slurm import write_script

EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples" / "batch"
COMMANDS = ("ka", "kaadduser", "kadeluser", "karights")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """Runs the scripts with nothing in their environment but what a scheduler gives them."""

    directory: Path
    settings: Path
    variables: Mapping[str, str]
    deployer: DeployerServices

    def run(self, script: str, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(EXAMPLES / script), *arguments],
            env={**self.variables, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@contextmanager
def serving_scheduler(client_settings: str, directory: Path, deployer_socket: Path) -> Iterator[Scheduler]:
    """Yields what a scheduler's host has, the inventory's address among the client's settings."""
    deployer = DeployerServices()
    address = f"unix:{deployer_socket}"
    server, _ = start_in_thread(
        deployer.register, ServerSettings(service="deployer", address=address, service_names=deployer_services.SERVICES)
    )
    settings = directory / "scheduler.toml"
    settings.write_text(f'{client_settings}[deployer]\naddress = "{address}"\n')
    programs = directory / "bin"
    programs.mkdir()
    for name in COMMANDS:
        code = f"from kadeploy_cli.__main__ import {name}; {name}()"
        write_script(programs / name, f"exec {sys.executable} -c '{code}' \"$@\"")
    path = f"{programs}:/usr/bin:/bin"
    variables = {"PATH": path, "KADEPLOY_PATH": path, "KADEPLOY_CONFIG": str(settings), "KADEPLOY_PARTITIONS": "sda3"}
    passed_on = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    yield Scheduler(directory=directory, settings=settings, variables=variables | passed_on, deployer=deployer)
    server.stop()


def allowed(address: str, user: str) -> list[str]:
    """Returns the nodes on which the inventory lets a user deploy to sda3, as the deployer asks it."""
    with open_channel(address, caller="deployer") as channel:
        rights = inventory_service_pb2_grpc.RightServiceStub(channel)
        request = inventory_service_pb2.CheckRightsRequest(user=user, nodes="node-[1-4]", partition="sda3")
        return [check.node for check in rights.CheckRights(request, timeout=10).checks if check.allowed]
