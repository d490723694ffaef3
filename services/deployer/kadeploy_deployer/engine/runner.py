"""Walks a deployment through the plan, step by step: journal, act, judge.

The journal is written before anything is done, so that whoever takes the deployment over enters the same step again.
Everything the runner decides is in the database before it is acted upon; it can die at any point.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from kadeploy_deployer.domain.deployment import Lease, NodeDeployment, verdict
from kadeploy_deployer.domain.errors import LeaseLost, StoreFailed
from kadeploy_deployer.domain.lifecycle import ENTERS, DeploymentTrigger, PartitionTrigger, advance_partition, given_up
from kadeploy_deployer.domain.outcome import Failure, Outcome
from kadeploy_deployer.domain.states import DeploymentState, FailureReason, PartitionState
from kadeploy_deployer.engine.event_log import EventLog
from kadeploy_deployer.engine.racing import Cancelled, run_unless_cancelled
from kadeploy_deployer.engine.recorder import JournalRecorder
from kadeploy_deployer.engine.rights import RightsGuard, RightsQuery
from kadeploy_deployer.engine.step_run import StepRun, described, first_line, policy
from kadeploy_deployer.engine.waiting import Waiting, cancel_reason
from kadeploy_deployer.ports import Inventory
from kadeploy_deployer.ports.deployment_store import DeploymentStore
from kadeploy_deployer.ports.step_ports import StepPorts
from kadeploy_deployer.ports.store_values import RunData
from kadeploy_deployer.steps.step import Step, StepContext

logger = logging.getLogger(__name__)

RECOVERY_TIMEOUT = 240.0

LeaveBootable = Callable[[StepContext, Sequence[str]], Awaitable[Mapping[str, Outcome]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerSettings:
    """What is the same for all deployments."""

    plan: Sequence[Step]
    ports: StepPorts
    leave_bootable: LeaveBootable
    deployment_host_keys: tuple[str, ...]
    cluster_public_key: str


class Runner:
    """Drives one deployment as long as the lease is held."""

    def __init__(
        self, *, lease: Lease, store: DeploymentStore, log: EventLog, settings: RunnerSettings, inventory: Inventory
    ) -> None:
        self._lease = lease
        self._store = store
        self._settings = settings
        self._inventory = inventory
        self._clock = settings.ports.clock
        self._recorder = JournalRecorder(store=store, lease=lease, log=log, clock=self._clock)
        self._states: dict[str, PartitionState] = {}
        self._cancelled = asyncio.Event()
        self._steps = StepRun(deployment_id=lease.deployment_id, recorder=self._recorder, cancelled=self._cancelled)

    def cancel(self) -> None:
        """Makes the deployment end as cancelled, as soon as the step at hand has been stopped."""
        self._cancelled.set()

    async def run(self) -> None:
        """Drives the deployment to its end. Raises LeaseLost when somebody else drives it."""
        data = await self._store.load(self._lease.deployment_id)
        if data.deployment.cancel_requested:
            self._cancelled.set()
        guard = self._guard(data)
        if data.deployment.state is DeploymentState.WAITING:
            waiting = Waiting(
                lease=self._lease,
                store=self._store,
                clock=self._clock,
                recorder=self._recorder,
                cancelled=self._cancelled,
                guard=guard,
            )
            if not await waiting.acquire(data):
                return
            data = await self._store.load(self._lease.deployment_id)
        context = self._context(data)
        self._states = {node.node: node.state for node in data.deployment.nodes if node.active and node.state}
        try:
            await self._walk(data, context, guard)
            if self._states:
                text = "the plan ended without a word on this node"
                await self._fail_the_rest(FailureReason.INTERNAL, text, PartitionTrigger.FAIL)
        except Cancelled:
            await self._fail_the_rest(
                FailureReason.CANCELLED, await cancel_reason(self._store, self._lease), PartitionTrigger.CANCEL
            )
        await self._finish(context)

    async def give_up(self, failure: Failure) -> None:
        """Ends the deployment because nobody brings it to its end, and leaves its nodes bootable.

        Raises LeaseLost, StoreFailed, and whatever made it impossible to go on.
        """
        data = await self._store.load(self._lease.deployment_id)
        trigger = given_up(data.deployment.state, failure.reason)
        nodes = [node.node for node in data.deployment.nodes if node.active]
        if data.deployment.state is not DeploymentState.WAITING:
            await self._store.fail_nodes(
                self._lease,
                failures=dict.fromkeys(nodes, failure),
                trigger=PartitionTrigger.LOSE,
                now=self._clock.now(),
            )
            failed = {node.node for node in data.deployment.nodes if node.state is PartitionState.ERROR}
            await self._recover(self._context(data), [*nodes, *failed])
            nodes = []
        await self._store.end(
            self._lease,
            trigger=trigger,
            description=failure.description,
            failures=dict.fromkeys(nodes, failure),
            node_trigger=PartitionTrigger.LOSE,
            now=self._clock.now(),
        )

    # --- the plan ---

    def _guard(self, data: RunData) -> RightsGuard:
        """Returns what asks for the right of the deployment's owner on its target partitions."""
        query = RightsQuery(
            user=data.deployment.owner if data.deployment.needs_right else "",
            partitions={name: node.target_word for name, node in data.snapshots.items()},
        )
        return RightsGuard(query, inventory=self._inventory, clock=self._clock)

    def _context(self, data: RunData) -> StepContext:
        deployment = data.deployment
        return StepContext(
            deployment_id=deployment.id,
            owner=deployment.owner,
            spec=deployment.spec,
            environment=deployment.environment,
            nodes=data.snapshots,
            profiles=data.profiles,
            facts={node.node: node.facts for node in deployment.nodes if node.included},
            ports=self._settings.ports,
            recorder=self._recorder,
            deployment_host_keys=self._settings.deployment_host_keys,
            cluster_public_key=self._settings.cluster_public_key,
        )

    async def _walk(self, data: RunData, context: StepContext, guard: RightsGuard) -> None:
        plan = [step for step in self._settings.plan if step.applies(context)]
        names = [step.name for step in plan]
        journal = data.deployment.step
        begin = names.index(journal) if journal in names else 0
        for number, step in enumerate(plan[begin:], start=begin):
            pending, attempt = list(self._states), 1
            if step.name == journal:
                nodes = {node.node: node for node in data.deployment.nodes}
                pending, attempt = _left_to_do(nodes, pending, step.name), data.deployment.attempt
                if number == len(plan) - 1:
                    # Those that did the last step before the interruption are deployed, and only not yet told so.
                    before = {node: None for node in self._states if node not in pending}
                    await self._judge(step, context, before, attempt, last=True)
            await self._step(step, context, pending, attempt, guard, last=number == len(plan) - 1)

    async def _step(
        self, step: Step, context: StepContext, nodes: list[str], attempt: int, guard: RightsGuard, *, last: bool
    ) -> None:
        """Runs one step, and again for the nodes that may try again; for those alone on which the right stands."""
        pending = nodes
        while pending:
            if self._cancelled.is_set():
                raise Cancelled
            lost = await run_unless_cancelled(self._cancelled, guard.check(pending))
            if lost:
                await self._lose(lost, step.name)
                pending = [node for node in pending if node not in lost]
                continue
            await self._store.enter_step(
                self._lease,
                step=step.name,
                attempt=attempt,
                nodes={node: self._states[node] for node in pending},
                state=step.partition_state,
                now=self._clock.now(),
            )
            for node in pending:
                self._states[node] = advance_partition(self._states[node], ENTERS[step.partition_state])
            self._recorder.begin(step.name, attempt)
            present = {node: context.nodes[node] for node in self._states}
            narrowed = replace(context, nodes=present, facts={node: context.facts[node] for node in present})
            outcomes = await self._steps.act(step, narrowed, pending)
            pending = await self._judge(step, context, outcomes, attempt, last=last)
            attempt += 1

    async def _judge(
        self, step: Step, context: StepContext, outcomes: Mapping[str, Outcome], attempt: int, *, last: bool
    ) -> list[str]:
        """Journals the outcomes and returns the nodes that try again."""
        again: dict[str, Failure] = {}
        failed: dict[str, Failure] = {}
        for node, outcome in outcomes.items():
            if outcome is None:
                continue
            may = outcome.retriable and attempt <= policy(step, context, node).retries
            (again if may else failed)[node] = described(outcome, step.name)
        done = [node for node, outcome in outcomes.items() if outcome is None]
        await self._store.finish_attempt(
            self._lease,
            step=step.name,
            attempt=attempt,
            done=done,
            failed=failed,
            again=again,
            deployed=last,
            now=self._clock.now(),
            ended=dict(self._recorder.ended_at),
        )
        for node in (*failed, *(done if last else ())):
            del self._states[node]
        return list(again)

    async def _lose(self, lost: Mapping[str, Failure], step: str) -> None:
        """Takes nodes out of the deployment before a step begins on them."""
        failures = {node: described(failure, step) for node, failure in lost.items()}
        now = self._clock.now()
        await self._store.fail_nodes(self._lease, failures=failures, trigger=PartitionTrigger.FAIL, now=now)
        for node in lost:
            del self._states[node]

    # --- the end ---

    async def _fail_the_rest(self, reason: FailureReason, text: str, trigger: PartitionTrigger) -> None:
        failures = {node: Failure(reason=reason, description=text) for node in self._states}
        await self._store.fail_nodes(self._lease, failures=failures, trigger=trigger, now=self._clock.now())
        self._states.clear()

    async def _finish(self, context: StepContext) -> None:
        deployment = await self._store.get(self._lease.deployment_id)
        failed = [node.node for node in deployment.nodes if node.state is PartitionState.ERROR]
        if failed:
            await self._recover(context, failed)
        good, text = verdict(deployment.nodes)
        trigger = DeploymentTrigger.ALL_DEPLOYED if good else DeploymentTrigger.SOME_FAILED
        if any(node.reason is FailureReason.CANCELLED for node in deployment.nodes):
            trigger, text = DeploymentTrigger.CANCELLED, f"{deployment.cancel_reason or 'cancelled'}; {text}"
        await self._store.end(self._lease, trigger=trigger, description=text, failures={}, now=self._clock.now())

    async def _recover(self, context: StepContext, nodes: Sequence[str]) -> None:
        """Leaves failed nodes bootable. That this fails changes nothing: it is only told."""
        failures: Mapping[str, Outcome]
        try:
            async with asyncio.timeout(RECOVERY_TIMEOUT):
                failures = await self._settings.leave_bootable(context, nodes)
        except (LeaseLost, StoreFailed):
            # They are about the whole deployment: whoever drives it next leaves the nodes bootable.
            raise
        except TimeoutError:
            text = f"no answer within {RECOVERY_TIMEOUT:.0f} s"
            failures = dict.fromkeys(nodes, Failure(reason=FailureReason.INTERNAL, description=text))
        except Exception as error:
            logger.exception("deployment=%s unforeseen error after the last step", self._lease.deployment_id)
            text = f"{type(error).__name__}: {first_line(str(error))}"
            failures = dict.fromkeys(nodes, Failure(reason=FailureReason.INTERNAL, description=text))
        told = [
            self._recorder.remark(node, f"could not be left bootable: {failure.description}")
            for node, failure in failures.items()
            if failure is not None
        ]
        await asyncio.gather(*told)


def _left_to_do(nodes: Mapping[str, NodeDeployment], pending: Sequence[str], step: str) -> list[str]:
    """Returns the nodes that have not done the journalled step yet."""
    return [node for node in pending if not (nodes[node].step == step and nodes[node].step_done)]
