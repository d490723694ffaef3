"""A deployer with its real plan on a real database, and machines that boot what they are told: no test double between.

Time is the manual clock's: a deployment of many minutes takes as long as our own code and the fakes need.
"""

from collections.abc import Sequence
from pathlib import Path

from kadeploy_deployer.adapters.retrying_boot import RetryingBoot
from kadeploy_deployer.domain.snapshot import DeploymentSpec
from kadeploy_deployer.ports import Resolution, ResolvedNode
from kadeploy_deployer.ports.step_ports import StepPorts
from kadeploy_deployer.steps.plan import PLAN
from kadeploy_deployer.steps.recovery import leave_bootable
from kadeploy_deployer.store.database import Database
from tests.fakes import snapshots
from tests.fakes.deployment_world import WatchedDatabase, World
from tests.fakes.fake_inventory import FakeInventory
from tests.fakes.fake_machines import IMAGE_KEY, FakeMachines
from tests.fakes.step_workshop import DEPLOYMENT_KEY, Workshop


class SimulatedSite:
    """`machines` by name, `workshop` with the fakes behind the ports, and the `world` that deploys to them."""

    def __init__(
        self, directory: Path, database: Database, names: Sequence[str], *, lease_seconds: float = 30.0
    ) -> None:
        self.names = tuple(names)
        self.workshop = Workshop(directory)
        self.machines = FakeMachines(self.workshop, *names)
        if isinstance(database, WatchedDatabase):
            self.workshop.clock.busy = lambda: database.pending > 0 or self.workshop.readers.pending > 0
        for number, name in enumerate(names):
            self.machines[name].files[IMAGE_KEY] = f"ssh-ed25519 HOST{number} root@image\n"
        self.world = World(
            database=database,
            plan=PLAN,
            clock=self.workshop.clock,
            inventory=FakeInventory(self.resolution(names)),
            recover=leave_bootable,
            ports=StepPorts(
                shell=self.workshop.shell,
                power=self.workshop.power,
                boot=RetryingBoot(self.workshop.boot, self.workshop.clock),
                images=self.workshop.images,
                broadcast=self.workshop.broadcast,
                clock=self.workshop.clock,
            ),
            host_keys=(DEPLOYMENT_KEY,),
            lease_seconds=lease_seconds,
            readers=self.workshop.readers,
        )

    def resolution(self, names: Sequence[str]) -> Resolution:
        """Returns what the inventory says of the nodes."""
        return Resolution(
            nodes=tuple(ResolvedNode(name=name, snapshot=snapshots.a_node(name), allowed=True) for name in names),
            environment=snapshots.an_environment(self.workshop.image),
            profiles={"default": snapshots.a_profile(reboot_window_size=len(self.names))},
        )

    def spec(self, names: Sequence[str] | None = None) -> DeploymentSpec:
        """Returns a request for nodes, by default for all."""
        nodes = ",".join(names or self.names)
        return DeploymentSpec(nodes=nodes, environment_name="debian", write_partition_table=True)
