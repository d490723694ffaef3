"""One node on its way through the plan: journal, act, journal. No node waits for another one here.

The journal is written before anything is done, so that whoever takes the deployment over enters the same step again.
Everything that is decided is durable before it is acted upon; the process can die at any point.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from kadeploy_deployer.domain.deployment import NodeDeployment
from kadeploy_deployer.domain.errors import LeaseLost, StoreFailed
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.outcome import Failure, StepFailed
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.domain.transition import StepTarget, enter, fail, fail_after, finish, retry
from kadeploy_deployer.engine.journal import DeploymentJournal
from kadeploy_deployer.engine.step_run import bounded, described, first_line, policy, run_step
from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.ports import PowerError, ShellError
from kadeploy_deployer.ports.journal_entries import NodeReleased
from kadeploy_deployer.steps.step import NodeStep, StepContext, WalkContext

logger = logging.getLogger(__name__)

RECOVERY_SECONDS = 240.0

LeaveBootable = Callable[[StepContext, str], Awaitable[None]]

_Context = TypeVar("_Context", bound=WalkContext)


class StepGuard(Protocol):
    """Says whether a node may enter a step."""

    async def lost(self, node: str) -> Failure | None:
        """Returns why it must not, None if it may: the user has lost their right on it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Walks(Generic[_Context]):
    """What all nodes of a deployment or operation share on their way.

    Attributes:
        guard: asked before a node enters a step.
        context: what steps are given.
        plan: the steps, in their order.
        journal: where each node is.
        leave_bootable: what is done to a node that failed.
        describe: makes of a failure and the name of its step what users read.
    """

    guard: StepGuard
    context: _Context
    plan: Sequence[NodeStep[_Context]]
    journal: DeploymentJournal
    leave_bootable: Callable[[_Context, str], Awaitable[None]]
    describe: Callable[[Failure, str], Failure] = described


async def walk(node: NodeDeployment, walks: Walks[_Context]) -> None:
    """Walks a node from where its journal is to its end: done, or failed and left bootable as far as that goes.

    Raises:
        LeaseLost, StoreFailed: it is about the whole deployment or operation.
        IllegalTransition: the plan does not go with the lifecycle.
    """
    name, journal = node.node, walks.journal
    plan = [step for step in walks.plan if step.applies(walks.context, name)]
    names = [step.name for step in plan]
    if not plan:
        failure = Failure(reason=FailureReason.INTERNAL, description="the plan has no step for this node")
        await journal.write(fail(name, journal.positions[name], failure))
        await recover(name, walks)
        return
    number = names.index(node.step) if node.step in names else 0
    if node.step in names and node.has_done(node.step):
        # It had done this step when its deployer died, and was only not yet in the next one.
        number += 1
    if await _begins(name, walks, plan[number] if number < len(plan) else None):
        await _walk_from(name, walks, plan, number)
    if journal.positions[name].failed:
        await recover(name, walks)


async def _begins(node: str, walks: Walks[_Context], step: NodeStep[_Context] | None) -> bool:
    """Journals that a node enters a step, unless its journal says so; returns False if it must not."""
    journal = walks.journal
    if step is None:
        await _go_on(node, walks, None, done=False)
        return False
    if (lost := await _lost(node, walks, step)) is not None:
        await journal.write(fail(node, journal.positions[node], lost))
        return False
    if journal.positions[node].step != step.name:
        await _go_on(node, walks, step, done=False)
    return True


async def _walk_from(node: str, walks: Walks[_Context], plan: Sequence[NodeStep[_Context]], number: int) -> None:
    """Walks a node from the step that it has entered to its end."""
    journal = walks.journal
    while journal.positions[node].active:
        try:
            facts = await _attempt(plan[number], node, walks)
        except StepFailed as error:
            await _judge(plan[number], node, error.failure, walks)
            continue
        number += 1
        following = plan[number] if number < len(plan) else None
        lost = None if following is None else await _lost(node, walks, following)
        if lost is None:
            await _go_on(node, walks, following, facts=facts)
        else:
            time = walks.context.ports.clock.now()
            await journal.write(fail_after(node, journal.positions[node], lost, facts=facts, time=time))


async def _lost(node: str, walks: Walks[_Context], step: NodeStep[_Context]) -> Failure | None:
    """Returns why a node must not enter a step: the deployment's owner has lost their right on it."""
    lost = await walks.guard.lost(node)
    return None if lost is None else walks.describe(lost, step.name)


async def recover(node: str, walks: Walks[_Context]) -> None:
    """Leaves a failed node bootable and gives up its lock; if it cannot be left bootable, a remark says so.

    Raises LeaseLost, StoreFailed: whoever drives the deployment next does it again.
    """
    context, problem = walks.context, ""
    try:
        await bounded(_leave_bootable(node, walks), clock=context.ports.clock, seconds=RECOVERY_SECONDS)
    except (LeaseLost, StoreFailed):
        raise
    except TimeoutError:
        problem = f"no answer within {RECOVERY_SECONDS:.0f} s"
    except (NodeFailed, ShellError, PowerError) as error:
        problem = str(error)
    except Exception as error:
        logger.exception("deployment=%s node=%s cannot be left bootable", context.deployment_id, node)
        problem = f"{type(error).__name__}: {first_line(str(error))}"
    if problem:
        await walks.journal.remark(node, f"could not be left bootable: {problem}")
    await walks.journal.write(NodeReleased(node=node))


async def _leave_bootable(node: str, walks: Walks[_Context]) -> None:
    await walks.leave_bootable(walks.context, node)


async def _attempt(step: NodeStep[_Context], node: str, walks: Walks[_Context]) -> NodeFacts:
    timeout = policy(step, walks.context, node).timeout
    return await run_step(step, walks.context.bounded_by(timeout), node)


async def _go_on(
    node: str,
    walks: Walks[_Context],
    following: NodeStep[_Context] | None,
    *,
    facts: NodeFacts | None = None,
    done: bool = True,
) -> None:
    """Journals that a node enters a step, or is deployed when none follows; and, with `done`, that it did the last."""
    journal = walks.journal
    before = journal.positions[node]
    target = StepTarget(name=following.name, state=following.partition_state) if following else None
    if target is not None and not done:
        await journal.write(enter(node, before, target))
        return
    time = walks.context.ports.clock.now()
    transition = finish(node, before, following=target, facts=facts or journal.facts[node], time=time)
    await journal.write(transition if done else replace(transition, ended=None))


async def _judge(step: NodeStep[_Context], node: str, failure: Failure, walks: Walks[_Context]) -> None:
    """Journals a failed attempt: another one follows, or the node has failed."""
    journal, time = walks.journal, walks.context.ports.clock.now()
    before, failure = journal.positions[node], walks.describe(failure, step.name)
    if failure.retriable and before.attempt <= policy(step, walks.context, node).retries:
        lost = await _lost(node, walks, step)
        if lost is None:
            await journal.write(retry(node, before, failure, time=time))
            return
        failure = lost
    await journal.write(fail(node, before, failure, time=time))
