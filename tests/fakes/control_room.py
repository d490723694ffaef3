"""What the calls on nodes work with: a real engine on a real database, machines that answer, time that jumps."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.operation import (
    DeployedEnvironment,
    DeployedPartition,
    DeploymentKernel,
    Operation,
    RebootSpec,
    Target,
)
from kadeploy_deployer.domain.snapshot import DeploymentSpec, EnvironmentSnapshot
from kadeploy_deployer.domain.states import PowerAction, RebootLevel
from kadeploy_deployer.engine.console_lease import ConsoleLeases
from kadeploy_deployer.nodes.probe import MARKER
from kadeploy_deployer.ports import Clock, Power, RemoteShell, Resolution, ResolvedNode
from kadeploy_deployer.ports.node_knowledge import DeployedSystem, NodeKnowledge
from kadeploy_deployer.ports.step_ports import StepPorts
from kadeploy_deployer.requests import power, reboot
from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_deployer.requests.node_access import ControlParts
from kadeploy_deployer.requests.operations import OperationRequest, RequestName, Tell, carry_out
from kadeploy_deployer.store.consoles import SqlConsoleStore
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore
from kadeploy_edge.errors import DomainError
from tests.fakes import snapshots
from tests.fakes.deployment_world import WatchedDatabase, World, make_database, new_deployment
from tests.fakes.fake_console import FakeConsole
from tests.fakes.fake_inventory import FakeInventory
from tests.fakes.fake_machines import IMAGE_KEY, SYSTEM, FakeMachines
from tests.fakes.step_workshop import DEPLOYMENT_KEY, Workshop

ALICE = Actor(user="alice")
ROOT = Actor(user="root", is_administrator=True)
SYSTEM_KEY = "ssh-ed25519 SYSTEM"
DEPLOYMENT = "d-1"


class KnowingStore(SqlDeploymentStore):
    """Knows of systems that no deployment left. `known`: by node."""

    def __init__(self, database: Database, *, known: dict[str, NodeKnowledge], **options: Any) -> None:
        super().__init__(database, **options)
        self.known = known

    async def knowledge(self, nodes: Sequence[str]) -> Mapping[str, NodeKnowledge]:
        """As in the port."""
        return {node: self.known.get(node, NodeKnowledge()) for node in nodes}


class ControlRoom:
    """Nodes node-1 to node-N that run a system which was deployed on vda3. `told`: what became of each node."""

    def __init__(
        self,
        directory: Path,
        *names: str,
        database: Database | None = None,
        clock: Clock | None = None,
        power: Power | None = None,
        shell: RemoteShell | None = None,
        **profile: Any,
    ) -> None:
        names = names or ("node-1", "node-2")
        self.names = names
        self.workshop = Workshop(directory)
        self.machines = FakeMachines(self.workshop, *names)
        self.known: dict[str, NodeKnowledge] = {}
        self.console = FakeConsole(b"login: ")
        self.database = database or make_database(directory)
        watched = self.database
        if isinstance(watched, WatchedDatabase):
            self.workshop.clock.busy = lambda: watched.pending > 0 or self.workshop.readers.pending > 0
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
        self.clock: Clock = clock or self.workshop.clock
        self.power: Power = power or self.workshop.power
        self.shell: RemoteShell = shell or self.workshop.shell
        self.world, self.parts = self.deployer()
        self.store = self.world.store
        self.told: dict[str, DomainError | None] = {}
        for name in names:
            self.deploy(name)

    def deployer(self, *, lease_seconds: float = 30.0, clock: Clock | None = None) -> tuple[World, ControlParts]:
        """Returns a deployer on the database, and the parts that its calls work with."""
        clock = clock or self.clock
        world = World(
            database=self.database,
            plan=(),
            clock=clock,
            inventory=self.inventory,
            host_keys=(DEPLOYMENT_KEY,),
            lease_seconds=lease_seconds,
            readers=self.workshop.readers,
            ports=StepPorts(
                shell=self.shell,
                power=self.power,
                boot=self.workshop.boot,
                images=self.workshop.images,
                broadcast=self.workshop.broadcast,
                clock=clock,
            ),
        )
        world.store = KnowingStore(self.database, known=self.known, on_commit=world.log.wake)
        parts = ControlParts(
            inventory=self.inventory,
            store=world.store,
            supervisor=world.supervisor,
            log=world.log,
            consoles=ConsoleLeases(store=SqlConsoleStore(self.database), clock=clock, lease_seconds=lease_seconds),
            ports=world.settings.ports,
            channels=world.settings.channels,
            console=self.console,
        )
        return world, parts

    def tell(self, node: str, error: DomainError | None) -> None:
        """Notes what became of a node."""
        assert node not in self.told
        self.told[node] = error

    def reasons(self) -> dict[str, str]:
        """Returns the reason of each node's error, empty where it went well."""
        return {node: error.reason if error else "" for node, error in self.told.items()}

    async def held(self) -> Mapping[str, str]:
        """Returns the nodes that are held, with their holders."""
        return await self.store.holders(self.names)

    async def hold(self, node: str, *, deployment: str = "20261122-abc") -> None:
        """Makes a deployment hold a node."""
        await self.store.create(new_deployment(deployment, [node]))

    async def take_over(self, world: World) -> None:
        """Lets another deployer go on with all that nobody drives any more."""
        for lease in await world.claim_all(world.supervisor.driver):
            world.supervisor.start(lease, since=self.clock.monotonic())

    async def ended(self, operation_id: str) -> Operation:
        """Returns an operation as soon as it has ended."""
        async with asyncio.timeout(10):
            while not (found := await self.store.get_operation(operation_id)).finished:  # noqa: ASYNC110 - a database
                await asyncio.sleep(0.01)
        return found

    async def reboot(
        self,
        target: Target,
        *,
        nodes: str = "node-[1-2]",
        actor: Actor = ALICE,
        parts: ControlParts | None = None,
        name: RequestName | None = None,
        tell: Tell | None = None,
        force: bool = False,
        **options: Any,
    ) -> None:
        """Asks for a reboot, as the call does, and notes what became of the nodes."""
        parts = parts or self.parts
        request = OperationRequest(owner=actor.user, name=name)
        prepare = reboot.reboot(
            nodes, reboot_spec(target, **options), force=force, actor=actor, parts=parts, request=request
        )
        await carry_out(request, prepare, tell or self.tell, actor=actor, parts=parts)

    async def switch(
        self,
        action: PowerAction,
        level: RebootLevel | None = None,
        *,
        nodes: str = "node-[1-2]",
        actor: Actor = ALICE,
        parts: ControlParts | None = None,
        name: RequestName | None = None,
        tell: Tell | None = None,
        force: bool = False,
    ) -> None:
        """Asks for a power change, as the call does, and notes what became of the nodes."""
        parts = parts or self.parts
        request = OperationRequest(owner=actor.user, name=name)
        prepare = power.power_change(nodes, action, level, force=force, actor=actor, parts=parts, request=request)
        await carry_out(request, prepare, tell or self.tell, actor=actor, parts=parts)

    def deploy(self, name: str) -> None:
        """Makes a node run a system that a deployment left on it."""
        machine = self.machines[name]
        machine.runs = SYSTEM
        machine.files[IMAGE_KEY] = f"{SYSTEM_KEY} root@image"
        machine.files[f"/mnt/dest{MARKER}"] = f"deployment={DEPLOYMENT}\ntoken=old\n"
        self.know(name, system(name, self.inventory.resolution.environment))

    def know(self, name: str, *systems: DeployedSystem, host_keys: Sequence[str] = (SYSTEM_KEY,)) -> None:
        """Says what is known of a node's systems."""
        self.known[name] = NodeKnowledge(host_keys=tuple(host_keys), systems=systems)


def reboot_spec(target: Target, **options: Any) -> RebootSpec:
    """Returns how nodes are rebooted into a target."""
    spec = RebootSpec(**options)
    if isinstance(target, DeploymentKernel):
        return replace(spec, kernel=target)
    if isinstance(target, DeployedEnvironment):
        return replace(spec, environment=target)
    return replace(spec, partition=target) if isinstance(target, DeployedPartition) else spec


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
