"""A simulated site on which everything takes its time, and machines that go wrong in all the ways that we know."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from kadeploy_deployer.domain.deployment import Deployment
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.snapshot import ArchiveSnapshot
from kadeploy_deployer.domain.states import FailureReason, PartitionState
from kadeploy_deployer.domain.vocabulary import Compression
from kadeploy_deployer.ports import (
    BroadcastTarget,
    CommandResult,
    OnProgress,
    OpenedFile,
    Received,
    ReceiveFailed,
    ShellError,
)
from tests.fakes import snapshots
from tests.fakes.deployment_world import WatchedDatabase
from tests.fakes.fake_machines import BLANK, DEPLOYMENT, FakeMachine
from tests.fakes.scripted_remote_shell import Ran
from tests.fakes.simulated_site import SimulatedSite

COPY_SECONDS = 30.0
SCRIPT = "traitement.ash"
DURATIONS = {"mkfs.ext4": 3.0, "sfdisk": 2.0, "sync": 2.0, f"/rambin/{SCRIPT}": 10.0}
"""Seconds of the commands that take long, by their first word."""
ON_DISK = {"mkfs.ext4", "sync"}
LEASE_SECONDS = 86_400.0
"""Simulated hours pass in seconds; nothing here is about leases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Straggler:
    """A kind of bad machine: what is done to one, and what becomes of its node. `reason` None: it is deployed, late."""

    spoil: Callable[[FakeMachine], None]
    reason: FailureReason | None = None


def _change(**values: object) -> Callable[[FakeMachine], None]:
    def spoil(machine: FakeMachine) -> None:
        for name, value in values.items():
            setattr(machine, name, copy(value))

    return spoil


STRAGGLERS: Mapping[str, Straggler] = {
    "is as good as the rest": Straggler(spoil=_change()),
    "needs a hard reboot": Straggler(spoil=_change(deaf_to={"soft"})),
    "boots four times slower": Straggler(spoil=_change(boot_seconds=80.0)),
    "never boots": Straggler(spoil=_change(boots=[BLANK] * 9), reason=FailureReason.NOT_THERE_ON_FIRST_CHECK),
    "never boots and ignores the soft reboot": Straggler(
        spoil=_change(deaf_to={"soft"}, boots=[BLANK] * 9), reason=FailureReason.NOT_THERE_ON_FIRST_CHECK
    ),
    "never comes back from the last reboot": Straggler(
        spoil=_change(boots=[DEPLOYMENT, *[BLANK] * 9]), reason=FailureReason.NOT_THERE_ON_LAST_CHECK
    ),
    "dies in the middle of the copy": Straggler(spoil=_change(dies_in_copy=True), reason=FailureReason.TRANSFER_FAILED),
    "has a disk ten times slower": Straggler(spoil=_change(disk_slowness=10.0)),
    "its post-install hangs": Straggler(spoil=_change(hangs_in=SCRIPT), reason=FailureReason.POSTINSTALL_FAILED),
}


class TimedSite(SimulatedSite):
    """Machines that run a system which we deployed, under the default profile; the environment has a post-install."""

    def __init__(self, directory: Path, database: WatchedDatabase, count: int) -> None:
        names = [f"node-{number}" for number in range(1, count + 1)]
        super().__init__(directory, database, names, lease_seconds=LEASE_SECONDS)
        file = self.workshop.images.add("file:///post.tgz", b"an archive", compression=Compression.GZIP)
        found = self.world.inventory.resolution
        archive = ArchiveSnapshot(file=file, script=SCRIPT)
        self.world.inventory.resolution = replace(
            found,
            environment=replace(found.environment, postinstalls=(archive,)),
            profiles={"default": snapshots.a_profile()},
        )
        self.workshop.shell.handler = self._answer
        ports = self.world.settings.ports
        self.world.settings = replace(
            self.world.settings,
            ports=replace(ports, broadcast=TimedBroadcast(self)),
            windows=self.world.settings.windows,
        )

    async def deploy(self) -> tuple[Deployment, Mapping[str, float]]:
        """Deploys to all machines; returns the deployment, and after how many simulated seconds each was deployed."""
        created = await self.world.create(self.spec())
        deployment = await self.world.finished(created.id, within=600)
        seconds = {
            node.node: (node.end_time or 0.0) - deployment.create_time
            for node in deployment.nodes
            if node.state is PartitionState.DEPLOYED
        }
        return deployment, seconds

    def spoil(self, kind: str, count: int) -> list[str]:
        """Spoils so many machines and returns their names."""
        chosen = self.names[:count]
        for name in chosen:
            STRAGGLERS[kind].spoil(self.machines[name])
        return list(chosen)

    async def _answer(self, ran: Ran) -> CommandResult | ShellError | None:
        machine = self.machines[ran.node]
        word = ran.arguments[0]
        seconds = DURATIONS.get(word, 0.0) * (machine.disk_slowness if word in ON_DISK else 1.0)
        if machine.hangs_in and word.endswith(machine.hangs_in):
            seconds = 1e9
        if seconds:
            await self.workshop.clock.sleep(seconds)
        return self.machines.answer(ran)


class TimedBroadcast:
    """A broadcast that takes its time on each machine; one that dies in it goes dark and takes no power any more."""

    def __init__(self, site: TimedSite) -> None:
        self._site = site
        self._digest = ""

    @asynccontextmanager
    async def session(self, file: OpenedFile, *, digest: str, user: str) -> AsyncIterator[Self]:
        """As in the port."""
        self._digest = digest
        yield self

    async def receive(self, target: BroadcastTarget, *, timeout: float, on_progress: OnProgress) -> Received:
        """As in the port."""
        machine, clock = self._site.machines[target.host.name], self._site.workshop.clock
        await clock.sleep(COPY_SECONDS * machine.disk_slowness / 2)
        if machine.dies_in_copy:
            machine.powered = False
            self._site.workshop.power.broken.add(machine.name)
            failure = Failure(reason=FailureReason.TRANSFER_FAILED, description="the connection broke")
            raise ReceiveFailed(failure)
        await clock.sleep(COPY_SECONDS * machine.disk_slowness / 2)
        on_progress(1000, 1000)
        return Received(digest=self._digest, received_bytes=1000, seconds=COPY_SECONDS)
