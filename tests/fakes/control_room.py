"""What the calls on nodes work with, made of fakes: machines that answer, locks in memory, time that jumps."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.snapshot import DeploymentSpec, EnvironmentSnapshot
from kadeploy_deployer.engine.lease_holder import LeaseHolder
from kadeploy_deployer.engine.operation_request import Operations
from kadeploy_deployer.nodes.probe import MARKER
from kadeploy_deployer.nodes.reboot_window import RebootWindows
from kadeploy_deployer.ports import Clock, Resolution, ResolvedNode
from kadeploy_deployer.ports.operation_store import DeployedSystem, NodeKnowledge, OperationStore
from kadeploy_deployer.ports.step_ports import StepPorts
from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_deployer.requests.node_access import ControlParts
from kadeploy_edge.errors import DomainError
from tests.fakes import snapshots
from tests.fakes.fake_console import FakeConsole
from tests.fakes.fake_inventory import FakeInventory
from tests.fakes.fake_machines import IMAGE_KEY, SYSTEM, FakeMachines
from tests.fakes.fake_operation_store import FakeOperationStore
from tests.fakes.step_workshop import DEPLOYMENT_KEY, Workshop

ALICE = Actor(user="alice")
ROOT = Actor(user="root", is_administrator=True)
SYSTEM_KEY = "ssh-ed25519 SYSTEM"
DEPLOYMENT = "d-1"


class ControlRoom:
    """Nodes node-1 to node-N that run a system which was deployed on vda3. `told`: what became of each node."""

    def __init__(self, directory: Path, *names: str, **profile: Any) -> None:
        names = names or ("node-1", "node-2")
        self.workshop = Workshop(directory)
        self.machines = FakeMachines(self.workshop, *names)
        self.store = FakeOperationStore()
        self.console = FakeConsole(b"login: ")
        nodes = tuple(
            ResolvedNode(name=name, snapshot=snapshots.a_node(name, **profile.pop(name, {})), allowed=True)
            for name in names
        )
        self.inventory = FakeInventory(
            Resolution(
                nodes=(*nodes, ResolvedNode(name="node-99", snapshot=None, allowed=False)),
                environment=snapshots.an_environment(self.workshop.image),
                profiles={"default": snapshots.a_profile(**profile)},
            )
        )
        self.parts = ControlParts(
            inventory=self.inventory,
            lease_holder=LeaseHolder(store=self.store, clock=self.workshop.clock, lease_seconds=30.0),
            operations=Operations(self.store, self.workshop.clock),
            ports=StepPorts(
                shell=self.workshop.shell,
                power=self.workshop.power,
                boot=self.workshop.boot,
                images=self.workshop.images,
                broadcast=self.workshop.broadcast,
                clock=self.workshop.clock,
            ),
            windows=RebootWindows(self.workshop.clock),
            console=self.console,
            deployment_host_keys=(DEPLOYMENT_KEY,),
        )
        self.told: dict[str, DomainError | None] = {}
        for name in names:
            self.deploy(name)

    def on(self, store: OperationStore, *, clock: Clock | None = None) -> ControlParts:
        """Returns the parts of another deployer, which shares the nodes and this store with others.

        A store that takes its time needs a clock that does not jump meanwhile.
        """
        clock = clock or self.workshop.clock
        lease_holder = LeaseHolder(store=store, clock=clock, lease_seconds=30.0)
        return replace(self.parts, lease_holder=lease_holder, operations=Operations(store, clock))

    def tell(self, node: str, error: DomainError | None) -> None:
        """Notes what became of a node."""
        assert node not in self.told
        self.told[node] = error

    def reasons(self) -> dict[str, str]:
        """Returns the reason of each node's error, empty where it went well."""
        return {node: error.reason if error else "" for node, error in self.told.items()}

    def deploy(self, name: str) -> None:
        """Makes a node run a system that a deployment left on it."""
        machine = self.machines[name]
        machine.runs = SYSTEM
        machine.files[IMAGE_KEY] = f"{SYSTEM_KEY} root@image"
        machine.files[f"/mnt/dest{MARKER}"] = f"deployment={DEPLOYMENT}\ntoken=old\n"
        self.know(name, system(name, self.inventory.resolution.environment))

    def know(self, name: str, *systems: DeployedSystem, host_keys: Sequence[str] = (SYSTEM_KEY,)) -> None:
        """Says what is known of a node's systems."""
        self.store.known[name] = NodeKnowledge(host_keys=tuple(host_keys), systems=systems)


def system(node: str, environment: EnvironmentSnapshot, **changes: Any) -> DeployedSystem:
    """Returns a system that a deployment left on vda3."""
    values: dict[str, Any] = {
        "node": node,
        "device": "vda",
        "partition": 3,
        "deployment_id": DEPLOYMENT,
        "update_time": 1.0,
        "environment": environment,
        "spec": DeploymentSpec(nodes=node, environment_name=environment.name),
        "facts": NodeFacts(deployment_token="", system_token="old", host_keys=(SYSTEM_KEY,)),
    }
    return DeployedSystem(**(values | changes))
