"""One of several deployers with many clients: `python -m tests.fakes.crowded_deployer URL NAME DIRECTORY [LEASE]`.

Each client asks for nodes that others ask for too, with any policy. What is done to a node is noted in a file, with the
time of a clock that all processes share; every answer is printed.
"""

import asyncio
import random
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from kadeploy_deployer.domain import node_set
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.snapshot import DeploymentSpec
from kadeploy_deployer.domain.states import BusyPolicy, PartitionState
from kadeploy_deployer.engine.fence import pass_fence
from kadeploy_deployer.ports import Resolution
from kadeploy_deployer.steps.step import StepContext
from kadeploy_deployer.store.database import Database
from kadeploy_edge.errors import DomainError
from tests.fakes.deployment_world import SPEC, World, resolution
from tests.fakes.fake_inventory import FakeInventory
from tests.fakes.scripted_step import ScriptedStep

CLIENTS, REQUESTS, NODES = 20, 1, 24
ACTS = 5
WAIT_SECONDS = 6.0
POLICIES = (BusyPolicy.EXCLUDE, BusyPolicy.FAIL, BusyPolicy.WAIT)


class AnyNodes(FakeInventory):
    """Knows every node that it is asked for."""

    def __init__(self) -> None:
        super().__init__(resolution())

    async def resolve(self, spec: DeploymentSpec, *, user: str, described: bytes = b"") -> Resolution:
        """As in the port."""
        return resolution(node_set.expand(spec.nodes))

    async def check_rights(self, nodes: str, *, user: str, partition: str = "") -> Mapping[str, bool]:
        """As in the port."""
        return dict.fromkeys(node_set.expand(nodes), True)


class Working(ScriptedStep):
    """Works on its nodes for a moment and notes from when to when."""

    def __init__(self, name: str, state: PartitionState, notes: Path) -> None:
        super().__init__(name, state)
        self._notes = notes

    async def run(self, context: StepContext, node: str) -> NodeFacts:
        """As in the protocol."""
        began = time.monotonic_ns()
        await asyncio.sleep(random.random() / 50)  # noqa: S311 - no secret
        ended = time.monotonic_ns()
        with self._notes.open("a", encoding="utf-8") as notes:
            notes.write(f"{node} {context.deployment_id} {began} {ended}\n")
        return await super().run(context, node)


class Acting(ScriptedStep):
    """Does many short acts to its nodes, each behind the fence, and notes when."""

    def __init__(self, name: str, state: PartitionState, notes: Path) -> None:
        super().__init__(name, state)
        self._notes = notes

    async def run(self, context: StepContext, node: str) -> NodeFacts:
        """As in the protocol."""
        for _ in range(ACTS):
            await pass_fence()
            now = time.monotonic_ns()
            with self._notes.open("a", encoding="utf-8") as notes:
                notes.write(f"{node} {context.deployment_id} {now} {now}\n")
            await asyncio.sleep(0.02)
        return await super().run(context, node)


async def _client(world: World, number: int) -> None:
    chance = random.Random(f"{world.supervisor.driver} {number}")  # noqa: S311 - no secret
    for _ in range(REQUESTS):
        first, many = chance.randrange(NODES), chance.randint(1, 6)
        names = sorted({f"node{(first + step) % NODES}" for step in range(many)})
        spec = replace(SPEC, nodes=",".join(names), busy_policy=chance.choice(POLICIES), wait_timeout=WAIT_SECONDS)
        try:
            created = await world.create(spec)
        except DomainError as refusal:
            sys.stdout.write(f"refused {refusal.reason}\n")
            continue
        await world.finished(created.id, within=60)
        sys.stdout.write(f"ended {created.id}\n")


async def _main(url: str, name: str, directory: Path, lease: str = "") -> None:
    database = Database(url)
    notes = directory / f"work-{name}"
    kind = Acting if lease else Working
    plan = [
        kind("boot", PartitionState.TO_DEPLOY, notes),
        kind("write", PartitionState.DEPLOYING, notes),
        kind("reboot", PartitionState.REBOOTING, notes),
    ]
    world = World(database=database, plan=plan, inventory=AnyNodes(), lease_seconds=float(lease or 30))
    world.supervisor.driver = name
    world.supervisor.open()
    await asyncio.gather(*(_client(world, number) for number in range(CLIENTS)))
    await world.supervisor.close()
    database.close()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), *sys.argv[4:]))
