"""What the scripts of docs/examples/batch need: the commands, settings of the scheduler's own, a deployer."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_event_pb2, deployment_pb2
from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_edge.channel import open_channel
from kadeploy_edge.server import ServerSettings
from tests.fakes import deployer_services
from tests.fakes.deployer_services import DeployerServices
from tests.fakes.threaded_server import start_in_thread
from tests.slurm import write_script

EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples" / "batch"
COMMANDS = ("ka", "kaadduser", "kadeluser", "karights", "kareboot")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """Runs the scripts with nothing in their environment but what a scheduler gives them."""

    directory: Path
    settings: Path
    variables: Mapping[str, str]
    deployer: DeployerServices

    def begin_deployment(self, owner: str) -> None:
        """Lets a deployment D-1 of a user run until it is cancelled."""
        deploying, error = deployment_pb2.DEPLOYMENT_STATE_DEPLOYING, deployment_pb2.DEPLOYMENT_STATE_ERROR
        self.deployer.deployments["D-1"] = deployment_pb2.Deployment(id="D-1", owner=owner, state=deploying)
        ended = deployment_event_pb2.DeploymentStateChanged(state=error)
        event = deployment_event_pb2.DeploymentEvent(sequence=1, deployment_state_changed=ended)
        self.deployer.events["D-1"] = [event]
        self.deployer.hold.clear()

    def rebooted_into(self) -> list[tuple[str, str, int]]:
        """Returns the nodes of each reboot, and the partition that they were rebooted into."""
        asked = self.deployer.control.requests
        found = [each for each in asked if isinstance(each, deployer_service_pb2.RebootNodesRequest)]
        return [(each.nodes, each.partition.device, each.partition.partition) for each in found]

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
    variables = {
        "PATH": path,
        "KADEPLOY_PATH": path,
        "KADEPLOY_CONFIG": str(settings),
        "KADEPLOY_PARTITIONS": "sda3",
        "KADEPLOY_REFERENCE_SECONDS": "30",
    }
    passed_on = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    yield Scheduler(directory=directory, settings=settings, variables=variables | passed_on, deployer=deployer)
    server.stop()


def allowed(address: str, user: str) -> list[str]:
    """Returns the nodes on which the inventory lets a user deploy to sda3, as the deployer asks it."""
    with open_channel(address, caller="deployer") as channel:
        rights = inventory_service_pb2_grpc.RightServiceStub(channel)
        request = inventory_service_pb2.CheckRightsRequest(user=user, nodes="node-[1-4]", partition="sda3")
        return [check.node for check in rights.CheckRights(request, timeout=10).checks if check.allowed]
