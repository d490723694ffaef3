"""One attempt at one step on one node: bounded in time, and whatever it raises becomes the node's failure."""

import asyncio
import contextvars
import logging
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from kadeploy_deployer.domain.errors import LeaseLost, StoreFailed
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.outcome import Failure, StepFailed
from kadeploy_deployer.domain.snapshot import StepPolicy
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.nodes.time_limit import TimeLimit, current_limit
from kadeploy_deployer.ports import BootError, Clock, ImageError, PowerError, ShellError
from kadeploy_deployer.steps.step import NodeStep, WalkContext

_Context = TypeVar("_Context", bound=WalkContext)
_Result = TypeVar("_Result")

logger = logging.getLogger(__name__)

STOP_SECONDS = 10.0
"""How long work is given to stop when it is cancelled."""
LONGEST_DESCRIPTION = 400
"""How long the description of a failure may be."""


async def run_step(step: NodeStep[_Context], context: _Context, node: str) -> NodeFacts:
    """Runs a step on a node and returns what is known of it then. `context.timeout` bounds it.

    Raises:
        StepFailed: the node failed, for whatever reason.
        LeaseLost, StoreFailed: it is about the whole deployment or operation.
    """
    try:
        return await bounded(step.run(context, node), clock=context.ports.clock, seconds=context.timeout)
    except (StepFailed, LeaseLost, StoreFailed):
        raise
    except TimeoutError:
        text = f"{node} was not done within {context.timeout:g} s"
        raise StepFailed(step.failure_reason, text) from None
    except (NodeFailed, ShellError, PowerError, BootError) as error:
        raise StepFailed(step.failure_reason, str(error)) from error
    except ImageError as error:
        raise StepFailed(step.failure_reason, str(error), retriable=False) from error
    except Exception as error:
        logger.exception("deployment=%s node=%s step=%s unforeseen error", context.deployment_id, node, step.name)
        text = f"the step broke off: {type(error).__name__}: {first_line(str(error))}"
        raise StepFailed(FailureReason.INTERNAL, text, retriable=False) from error


async def bounded(work: Coroutine[Any, Any, _Result], *, clock: Clock, seconds: float) -> _Result:
    """Returns what the work returns. Time that it waits for its turn at a shared limit does not count.

    Work that does not stop when it is cancelled is left behind after STOP_SECONDS.

    Raises:
        TimeoutError: the seconds are over.
        Exception: what the work raises.
    """
    limit = TimeLimit(clock, seconds)
    inside = contextvars.copy_context()
    inside.run(current_limit.set, limit)
    task = asyncio.create_task(work, context=inside)
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()

    def end(_: object = None) -> None:
        if not over.done():
            over.set_result(None)

    def expire() -> None:
        task.cancel()
        loop.call_later(STOP_SECONDS, end)

    task.add_done_callback(end)
    limit.start(expire)
    try:
        await over
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait({task}, timeout=STOP_SECONDS)
        _heard(task)
        raise
    finally:
        limit.stop()
    if limit.expired and (not task.done() or task.cancelled()):
        _heard(task)
        raise TimeoutError
    return task.result()


def policy(step: NodeStep[_Context], context: _Context, node: str) -> StepPolicy:
    """Returns timeout and retries of a step for a node: its cluster's, or else the step's own."""
    own = StepPolicy(timeout=step.timeout, retries=step.retries)
    wanted = context.profile(node).step_policies.get(step.name, own)
    return wanted if wanted.timeout > 0 else replace(wanted, timeout=own.timeout)


def described(failure: Failure, step: str) -> Failure:
    """Returns the failure with its reason in front and its step behind, as users read it."""
    words = failure.reason.replace("_", " ")
    text = failure.description.strip()
    if not text.startswith(words):
        text = f"{words}: {text}" if text else words
    if len(text) > LONGEST_DESCRIPTION:
        text = text[: LONGEST_DESCRIPTION - 1] + "…"
    return replace(failure, description=f"{text} (step {step})")


def plain(failure: Failure, _step: str) -> Failure:
    """Returns the failure as it is, bounded: of an operation, each node has an answer of its own."""
    text = failure.description.strip()
    return (
        failure
        if len(text) <= LONGEST_DESCRIPTION
        else replace(failure, description=f"{text[: LONGEST_DESCRIPTION - 1]}…")
    )


def first_line(text: str) -> str:
    """Returns the first line of an error's text, bounded."""
    return (text.strip().splitlines() or ["no text"])[0][:200]


def _heard(task: "asyncio.Task[Any]") -> None:
    """Takes note of how work ended that nobody waits for, or says that it goes on."""
    if not task.done():
        logger.error("work does not stop within %.0f s after it was cancelled; going on without it", STOP_SECONDS)
        task.add_done_callback(lambda late: late.cancelled() or late.exception())
    elif not task.cancelled() and (error := task.exception()) is not None:
        logger.warning("work that was stopped ended with an error", exc_info=error)
