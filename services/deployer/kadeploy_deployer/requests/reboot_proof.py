"""Reboots one node, by one rung of the ladder after the other, and proves what runs on it then."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from typing_extensions import override

from kadeploy_deployer.domain.control_errors import WrongSystemBooted
from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.domain.states import RebootLevel
from kadeploy_deployer.nodes.ladder import Observation, Rung, all_rungs, climb_ladder, reboot_over_ssh, try_look
from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.nodes.probe import Running
from kadeploy_deployer.nodes.proof import Awaited, look_for
from kadeploy_deployer.nodes.reboot_window import Turns
from kadeploy_deployer.ports import PowerError, ShellError, ShellHost
from kadeploy_deployer.ports.operation_store import DeployedSystem
from kadeploy_deployer.ports.recorder import Recorder
from kadeploy_deployer.ports.step_ports import StepPorts
from kadeploy_deployer.requests.node_access import ControlParts
from kadeploy_deployer.steps.null_recorder import NullRecorder

WHO_SECONDS = 15.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RebootedNode:
    """A node and what it should run after its reboot.

    Attributes:
        machine: the node; its target is the partition that is to be its root.
        levels: the ways to reboot, tried in order.
        switch_on: whether it is switched on first when it is off.
        patience: seconds to wait after each.
        known_host_keys: of all systems that were ever deployed on it.
        system: the deployed system that it should run; None: the deployment environment, or whatever its entry says.
        token: stands on its kernel's command line then; empty when its boot entry was left as it is, or
            hands over to a loader on the disk.
        begun: the mark of a reboot that a dead deployer had begun.
    """

    machine: NodeSnapshot
    levels: Sequence[RebootLevel]
    switch_on: bool
    patience: float
    known_host_keys: tuple[str, ...]
    system: DeployedSystem | None
    token: str
    begun: "RebootMark | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RebootMark:
    """What proves whether a reboot that was begun has happened; it is journalled before.

    Attributes:
        boot_id: of what ran before; empty: nobody could look.
        token: on the command line of what the reboot brings; empty: none is.
    """

    boot_id: str = ""
    token: str = ""

    @property
    def text(self) -> str:
        """As it is journalled; empty when it proves nothing."""
        return f"{self.boot_id} {self.token}".rstrip()

    @classmethod
    def of(cls, text: str) -> "RebootMark":
        """Returns the mark of what was journalled."""
        boot_id, _, token = text.partition(" ")
        return cls(boot_id=boot_id, token=token)


GoDown = Callable[[RebootMark], Awaitable[None]]
"""Is called when the turn of a node has come, each time before it is rebooted."""


@dataclass(frozen=True, slots=True)
class _MarkedTurns(Turns):
    """Says that a node goes down, when its turn has come. One that still waits can be left to others."""

    window: Turns
    go_down: Callable[[], Awaitable[None]]

    @override
    async def turn(self) -> None:
        await self.window.turn()
        await self.go_down()


@dataclass(frozen=True, slots=True, kw_only=True)
class _RebootContext:
    nodes: Mapping[str, NodeSnapshot]
    ports: StepPorts
    recorder: Recorder
    deployment_host_keys: tuple[str, ...]


async def reboot_and_prove(wanted: RebootedNode, *, window: Turns, go_down: GoDown, parts: ControlParts) -> None:
    """Reboots a node and returns when it runs what it should.

    One that a dead deployer had begun to reboot is not rebooted again until it is proved that it did not happen, or
    has had its time in vain.

    On a node of whose systems no host key is known, nothing can be proved: it is rebooted, and not waited for.

    Raises:
        NodeFailed: it is not there after the last rung; one sentence with what was seen and tried.
        WrongSystemBooted: something else is there.
    """
    await _Climber(wanted, parts, go_down).run(window)


class _Climber:
    def __init__(self, wanted: RebootedNode, parts: ControlParts, go_down: GoDown) -> None:
        self._wanted = wanted
        self._go_down = go_down
        self._name = wanted.machine.name
        self._context = _RebootContext(
            nodes={self._name: wanted.machine},
            ports=parts.ports,
            recorder=NullRecorder(),
            deployment_host_keys=parts.deployment_host_keys,
        )
        self._boot_id = ""

    async def run(self, window: Turns) -> None:
        wanted = self._wanted
        if wanted.system is not None and not wanted.system.facts.host_keys:
            raise NodeFailed(f"no host key of the system on {self._name} is known, so nothing could prove that it runs")
        window = _MarkedTurns(window, self._note)
        off = wanted.switch_on and await self._is_off()
        before = None if off else await try_look(self._context, self._host(self._any_keys()), timeout=WHO_SECONDS)
        boot_id = before.boot_id if isinstance(before, Running) else ""
        self._boot_id = wanted.begun.boot_id if wanted.begun else boot_id
        rungs = all_rungs(self._context, self._name, wanted.levels, soft=self._log_in_and_reboot, off=off)
        # A whole lease after its deployer died, a node that was told to go down does not run what ran before.
        if wanted.begun and not off and not (boot_id and boot_id == wanted.begun.boot_id):
            rungs = [Rung(name="the reboot that was begun", act=_nothing), *rungs]
        if not wanted.token and not wanted.known_host_keys:
            await self._reboot_blindly(rungs, window)
            return
        result = await climb_ladder(
            self._context, self._name, rungs, window=window, look_once=self._look, patience=wanted.patience
        )
        if result.observation.arrived is not None:
            return
        if result.observation.wrong:
            raise WrongSystemBooted(self._name, result.summary())
        raise NodeFailed(f"{self._name} is not there after its reboot: {result.summary()}")

    async def _note(self) -> None:
        provable = bool(self._wanted.token or self._wanted.known_host_keys)
        await self._go_down(RebootMark(boot_id=self._boot_id, token=self._wanted.token) if provable else RebootMark())

    async def _is_off(self) -> bool:
        try:
            return await self._context.ports.power.is_on(self._wanted.machine) is False
        except PowerError as problem:
            logger.info("node=%s its power status is unknown: %s", self._name, problem)
            return False

    def _host(self, keys: tuple[str, ...]) -> ShellHost:
        return ShellHost(name=self._name, address=self._wanted.machine.ip_address, host_keys=keys)

    def _any_keys(self) -> tuple[str, ...]:
        return (*self._wanted.known_host_keys, *self._context.deployment_host_keys)

    async def _log_in_and_reboot(self) -> None:
        host = self._host(self._any_keys())
        if not self._boot_id:
            # Else the system on its way down could be taken for the one that came up.
            running = await try_look(self._context, host, timeout=WHO_SECONDS)
            if isinstance(running, Observation):
                raise NodeFailed(running.seen)
            self._boot_id = running.boot_id
        await reboot_over_ssh(self._context.ports.shell, host, at_once=False)

    async def _reboot_blindly(self, rungs: Sequence[Rung], window: Turns) -> None:
        problems = []
        for rung in rungs:
            await window.turn()
            try:
                await rung.act()
            except (ShellError, PowerError, NodeFailed) as problem:
                problems.append(f"{rung.name}: {problem}")
            else:
                return
        raise NodeFailed(f"{self._name} could not be rebooted: {'; '.join(problems)}")

    async def _look(self, timeout: float) -> Observation:
        return await look_for(self._context, self._name, self._awaited(), timeout=timeout)

    def _awaited(self) -> Awaited:
        wanted, system = self._wanted, self._wanted.system
        if system is not None:
            keys = system.facts.host_keys
        elif wanted.token:
            keys = self._context.deployment_host_keys
        else:
            keys = self._any_keys()
        return Awaited(
            host_keys=keys,
            secret=system.facts.marker_secret if system else "",
            other_keys=tuple(key for key in self._any_keys() if key not in keys),
            left=self._boot_id,
            token=wanted.token,
            marker={"deployment": system.deployment_id} if system else {},
            booted_by="this reboot",
            written_by=f"deployment {system.deployment_id}" if system else "",
        )


async def _nothing() -> None:
    """Was done already, by a deployer that is dead."""
