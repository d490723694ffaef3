"""Reboots one node, by one rung of the ladder after the other, and proves what runs on it then."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kadeploy_deployer.domain.control_errors import WrongSystemBooted
from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.domain.states import RebootLevel
from kadeploy_deployer.nodes.each_node import NodeFailed
from kadeploy_deployer.nodes.ladder import Observation, Rung, all_rungs, climb_ladder, reboot_over_ssh, try_look
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
    """

    machine: NodeSnapshot
    levels: Sequence[RebootLevel]
    switch_on: bool
    patience: float
    known_host_keys: tuple[str, ...]
    system: DeployedSystem | None
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _RebootContext:
    nodes: Mapping[str, NodeSnapshot]
    ports: StepPorts
    recorder: Recorder
    deployment_host_keys: tuple[str, ...]


async def reboot_and_prove(wanted: RebootedNode, *, window: Turns, parts: ControlParts) -> None:
    """Reboots a node and returns when it runs what it should.

    On a node of whose systems no host key is known, nothing can be proved: it is rebooted, and not waited for.

    Raises:
        NodeFailed: it is not there after the last rung; one sentence with what was seen and tried.
        WrongSystemBooted: something else is there.
    """
    await _Climber(wanted, parts).run(window)


class _Climber:
    def __init__(self, wanted: RebootedNode, parts: ControlParts) -> None:
        self._wanted = wanted
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
        off = wanted.switch_on and await self._is_off()
        if not off:
            before = await try_look(self._context, self._host(self._any_keys()), timeout=WHO_SECONDS)
            if isinstance(before, Running):
                self._boot_id = before.boot_id
        rungs = all_rungs(self._context, self._name, wanted.levels, soft=self._log_in_and_reboot, off=off)
        if not wanted.token and not wanted.known_host_keys:
            await self._reboot_blindly(rungs, window)
            return
        result = await climb_ladder(
            self._context, self._name, rungs, window=window, look_once=self._look, patience=wanted.patience
        )
        if result.observation.arrived is not None:
            return
        if result.observation.wrong:
            raise WrongSystemBooted(self._name, result.story())
        raise NodeFailed(f"{self._name} is not there after its reboot: {result.story()}")

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
            other_keys=tuple(key for key in self._any_keys() if key not in keys),
            left=self._boot_id,
            token=wanted.token,
            marker={"deployment": system.deployment_id} if system else {},
            booted_by="this reboot",
            written_by=f"deployment {system.deployment_id}" if system else "",
        )
