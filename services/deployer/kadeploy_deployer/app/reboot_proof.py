"""Reboots one node, by one rung of the ladder after the other, and proves what runs on it then."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kadeploy_deployer.app.control import ControlParts
from kadeploy_deployer.app.operation_store import DeployedSystem
from kadeploy_deployer.app.ports import PowerError, ShellError, ShellHost
from kadeploy_deployer.app.silence import Silence
from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.domain.states import RebootLevel
from kadeploy_deployer.steps.each_node import NodeFailed
from kadeploy_deployer.steps.ladder import Rung, Sight, climb, power_rungs, reboot_over_ssh, try_look
from kadeploy_deployer.steps.probe import Running
from kadeploy_deployer.steps.reboot_window import Turns
from kadeploy_deployer.steps.step import Recorder, StepPorts

WHO_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RebootedNode:
    """A node and what it should run after its reboot.

    Attributes:
        machine: the node; its target is the partition that is to be its root.
        levels: the ways to reboot, tried in order.
        patience: seconds to wait after each.
        known_host_keys: of all systems that were ever deployed on it.
        system: the deployed system that it should run; None: the deployment environment, or whatever its entry says.
        token: stands on its kernel's command line then; empty when its boot entry was left as it is, or
            hands over to a loader on the disk.
    """

    machine: NodeSnapshot
    levels: Sequence[RebootLevel]
    patience: float
    known_host_keys: tuple[str, ...]
    system: DeployedSystem | None
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    nodes: Mapping[str, NodeSnapshot]
    ports: StepPorts
    recorder: Recorder
    deployment_host_keys: tuple[str, ...]


async def reboot_and_prove(wanted: RebootedNode, *, window: Turns, parts: ControlParts) -> None:
    """Reboots a node and returns when it runs what it should.

    On a node of whose systems no host key is known, nothing can be proved: it is rebooted, and not waited for.

    Raises:
        NodeFailed: it does not run that after the last rung; one sentence with what was seen and tried.
    """
    await _Climber(wanted, parts).run(window)


class _Climber:
    def __init__(self, wanted: RebootedNode, parts: ControlParts) -> None:
        self._wanted = wanted
        self._name = wanted.machine.name
        self._ground = _Ground(
            nodes={self._name: wanted.machine},
            ports=parts.ports,
            recorder=Silence(),
            deployment_host_keys=parts.deployment_host_keys,
        )
        self._boot_id = ""

    async def run(self, window: Turns) -> None:
        wanted = self._wanted
        if wanted.system is not None and not wanted.system.facts.host_keys:
            raise NodeFailed(f"no host key of the system on {self._name} is known, so nothing could prove that it runs")
        before = await try_look(self._ground, self._host(self._any_keys()), timeout=WHO_SECONDS)
        if isinstance(before, Running):
            self._boot_id = before.boot_id
        rungs = self._rungs()
        if not wanted.token and not wanted.known_host_keys:
            await self._reboot_blindly(rungs, window)
            return
        result = await climb(
            self._ground, self._name, rungs, window=window, look_once=self._look, patience=wanted.patience
        )
        if result.sight.arrived is None:
            raise NodeFailed(f"{self._name} is not there after its reboot: {result.story()}")

    def _host(self, keys: tuple[str, ...]) -> ShellHost:
        return ShellHost(name=self._name, address=self._wanted.machine.ip_address, host_keys=keys)

    def _any_keys(self) -> tuple[str, ...]:
        return (*self._wanted.known_host_keys, *self._ground.deployment_host_keys)

    def _rungs(self) -> list[Rung]:
        rungs = []
        for level in self._wanted.levels:
            if level is RebootLevel.SOFT and not self._wanted.machine.commands.soft_reboot:
                rungs.append(Rung(name="soft reboot", act=self._log_in_and_reboot))
            else:
                rungs.extend(power_rungs(self._ground, self._name, [level]))
        return rungs

    async def _log_in_and_reboot(self) -> None:
        host = self._host(self._any_keys())
        if not self._boot_id:
            # Else the system on its way down could be taken for the one that came up.
            running = await try_look(self._ground, host, timeout=WHO_SECONDS)
            if isinstance(running, Sight):
                raise NodeFailed(running.seen)
            self._boot_id = running.boot_id
        await reboot_over_ssh(self._ground.ports.shell, host, at_once=False)

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

    async def _look(self, timeout: float) -> Sight:
        system = self._wanted.system
        if system is not None:
            keys = system.facts.host_keys
        elif self._wanted.token:
            keys = self._ground.deployment_host_keys
        else:
            keys = self._any_keys()
        running = await try_look(self._ground, self._host(keys), timeout=timeout)
        if isinstance(running, Sight):
            return running
        problem = self._difference(running)
        return Sight(seen=problem, wrong=True) if problem else Sight(arrived=running)

    def _difference(self, running: Running) -> str:
        """Returns in what a running system is not the one that should run, empty if it is."""
        wanted, system = self._wanted, self._wanted.system
        if running.boot_id == self._boot_id:
            return "it has not rebooted yet"
        if system is None:
            booted = not wanted.token or running.token == wanted.token
            return "" if booted else "the deployment environment answers, but was booted for something else"
        if wanted.token and running.token != wanted.token:
            return f"a system answers that was not booted by this reboot (its root is {running.root_source})"
        target = wanted.machine.partition_device(wanted.machine.partition)
        if not running.root_is_device:
            return f"the kernel runs from {running.root_source} and not from {target}"
        if running.marker.get("deployment") != system.deployment_id:
            return f"the system on {target} is not the one that deployment {system.deployment_id} wrote"
        return ""
