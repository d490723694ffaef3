"""Step of a reboot: reboots a node, by one rung of the ladder after the other, and proves what runs on it then.

Before the node goes down the journal has the boot id of what ran on it. Whoever takes the operation over looks at that
first: a node that runs something else was rebooted, and one that still runs the same was not.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from typing_extensions import override

from kadeploy_deployer.domain.boot_choice import is_opaque
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.operation import DeploymentKernel, PresentEntry
from kadeploy_deployer.domain.outcome import StepFailed
from kadeploy_deployer.domain.states import FailureReason, OperationNodeState
from kadeploy_deployer.nodes.ladder import Observation, Rung, all_rungs, climb_ladder, reboot_over_ssh, try_look
from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.nodes.probe import Running
from kadeploy_deployer.nodes.proof import Awaited, look_for, look_for_stranger
from kadeploy_deployer.nodes.reboot_window import Turns
from kadeploy_deployer.ports import PowerError, ShellError, ShellHost
from kadeploy_deployer.ports.node_knowledge import DeployedSystem
from kadeploy_deployer.steps.deployed_system import boot_context, system_of
from kadeploy_deployer.steps.feasibility import chainloads
from kadeploy_deployer.steps.operation_step import OperationContext, OperationStep, failures_of_node

WHO_SECONDS = 15.0

logger = logging.getLogger(__name__)


class RebootNode(OperationStep):
    """See the module. Each rung has its own bound; the step's timeout only ends what none of them foresaw."""

    name = "reboot"
    partition_state = OperationNodeState.DOING
    timeout = 4 * 3600.0
    failure_reason = FailureReason.NOT_THERE_AFTER_REBOOT
    retries = 0

    @override
    def applies(self, context: OperationContext, node: str) -> bool:
        return not context.spec.reboot.prepare_only

    @override
    async def run(self, context: OperationContext, node: str) -> NodeFacts:
        with failures_of_node():
            return await _Climber(context, node).run()


@dataclass(frozen=True, slots=True)
class _JournalledTurns(Turns):
    """Journals that a node goes down, when its turn has come. One that still waits can be left to others."""

    window: Turns
    go_down: Callable[[], Awaitable[None]]

    @override
    async def turn(self) -> None:
        await self.window.turn()
        await self.go_down()


class _Climber:
    """Reboots one node.

    On a node of whose systems no host key is known, nothing can be proved: it is rebooted, and not waited for.
    """

    def __init__(self, context: OperationContext, node: str) -> None:
        self._context, self._name = context, node
        self._wanted = context.spec.reboot
        self._system: DeployedSystem | None = system_of(context, node)
        # Nobody can look into it: its ssh server is the only sign of it.
        self._opaque = self._system is not None and is_opaque(self._system.environment)
        self._begun = context.facts[node].begun
        self._boot_id = context.facts[node].left_boot_id
        self._known_keys = context.known[node].all_host_keys
        self._token = self._find_token()

    async def run(self) -> NodeFacts:
        context, node, wanted = self._context, self._name, self._wanted
        system = self._system
        if system is not None and not (system.declared or self._opaque or system.facts.host_keys):
            raise NodeFailed(f"no host key of the system on {node} is known, so nothing could prove that it runs")
        provable = bool(self._token or self._known_keys or (system is not None and (system.declared or self._opaque)))
        if self._begun and not (self._token or self._boot_id):
            text = f"{node} was being rebooted when its deployer died, and nothing can prove whether it happened"
            raise StepFailed(FailureReason.OUTCOME_UNKNOWN, text, retriable=False)
        window = _JournalledTurns(context.window(node), self._go_down)
        off = wanted.level is None and await self._is_off()
        before = None if off else await try_look(context, self._host(self._any_keys()), timeout=WHO_SECONDS)
        boot_id = before.boot_id if isinstance(before, Running) else ""
        if not self._begun:
            self._boot_id = boot_id
        profile = context.profile(node)
        levels = (wanted.level,) if wanted.level else profile.reboot_ladder
        rungs = all_rungs(context, node, levels, soft=self._log_in_and_reboot, off=off)
        # A whole lease after its deployer died, a node that was told to go down does not run what ran before.
        if self._begun and not off and not (boot_id and boot_id == self._boot_id):
            rungs = [Rung(name="the reboot that was begun", act=_nothing), *rungs]
        if not provable:
            await self._reboot_blindly(rungs, window)
            return context.facts[node]
        is_deployment_kernel = isinstance(wanted.target, DeploymentKernel)
        result = await climb_ladder(
            context,
            node,
            rungs,
            window=window,
            look_once=self._look,
            patience=profile.first_check_timeout if is_deployment_kernel else profile.last_check_timeout,
        )
        if result.observation.arrived is not None:
            return self._facts_of(result.observation.arrived, result.observation.host_key)
        if result.observation.wrong:
            text = f"{node} did not boot what it should: {result.summary()}"
            raise StepFailed(FailureReason.WRONG_SYSTEM_BOOTED, text, retriable=False)
        raise NodeFailed(f"{node} is not there after its reboot: {result.summary()}")

    def _find_token(self) -> str:
        """Returns what stands on the kernel's command line afterwards; empty: the entry was left as it is."""
        if isinstance(self._wanted.target, PresentEntry):
            return ""
        # A loader on the disk passes on no token; the marker in the system has to do.
        if self._system is not None and chainloads(boot_context(self._context, self._name, self._system)):
            return ""
        return self._context.facts[self._name].system_token

    def _facts_of(self, running: Running, new_key: str) -> NodeFacts:
        """`new_key`: of a system that proved itself by its marker and with another key than before; else empty."""
        facts = replace(self._context.facts[self._name], boot_id=running.boot_id)
        if self._system is None:
            return facts
        return replace(facts, host_keys=(new_key,) if new_key else self._system.facts.host_keys)

    async def _go_down(self) -> None:
        # A window may open long after the call was allowed.
        await self._context.rights.must_have(self._name)
        if not self._begun:
            self._begun = True
            facts = replace(self._context.facts[self._name], begun=True, left_boot_id=self._boot_id)
            await self._context.recorder.learn(self._name, facts)

    async def _is_off(self) -> bool:
        try:
            return await self._context.ports.power.is_on(self._context.nodes[self._name]) is False
        except PowerError as problem:
            logger.info("node=%s its power status is unknown: %s", self._name, problem)
            return False

    def _host(self, keys: tuple[str, ...]) -> ShellHost:
        return ShellHost(name=self._name, address=self._context.nodes[self._name].ip_address, host_keys=keys)

    def _any_keys(self) -> tuple[str, ...]:
        return self._context.any_host_keys(self._name)

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
        if self._opaque:
            return await look_for_stranger(self._context, self._name, self._awaited(), timeout=timeout)
        return await look_for(self._context, self._name, self._awaited(), timeout=timeout)

    def _awaited(self) -> Awaited:
        system = self._system
        if system is not None:
            keys = system.facts.host_keys
        elif self._token:
            keys = self._context.deployment_host_keys
        else:
            keys = self._any_keys()
        if system is not None and system.declared:
            return Awaited(
                host_keys=keys,
                other_keys=tuple(key for key in self._any_keys() if key not in keys),
                left=self._boot_id,
                token=self._token,
                on_target=True,
                any_key=not keys,
                booted_by="this reboot",
            )
        return Awaited(
            host_keys=keys,
            secret=system.facts.marker_secret if system else "",
            other_keys=tuple(key for key in self._any_keys() if key not in keys),
            left=self._boot_id,
            token=self._token,
            marker={"deployment": system.deployment_id} if system else {},
            booted_by="this reboot",
            written_by=f"deployment {system.deployment_id}" if system else "",
        )


async def _nothing() -> None:
    """Was done already, by a deployer that is dead."""


REBOOT = RebootNode()
