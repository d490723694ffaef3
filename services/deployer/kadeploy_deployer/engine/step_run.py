"""Runs one step once: bounded in time, stopped when the deployment is cancelled, with an outcome for every node."""

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace

from kadeploy_deployer.domain.errors import LeaseLost, StoreFailed
from kadeploy_deployer.domain.outcome import Failure, Outcome
from kadeploy_deployer.domain.snapshot import StepPolicy
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.engine.racing import Cancelled
from kadeploy_deployer.engine.recorder import JournalRecorder
from kadeploy_deployer.steps.step import Step, StepContext

logger = logging.getLogger(__name__)

GRACE = 10.0
"""How long after its own timeout a step is given to come back with its outcomes."""
STOP_SECONDS = 10.0
"""How long a step is given to stop when it is cancelled."""
LAST_WORDS = 400
"""How long the description of a failure may be."""


class StepRun:
    """Runs the steps of one deployment. `cancelled`: set when it is to be cancelled."""

    def __init__(self, *, deployment_id: str, recorder: JournalRecorder, cancelled: asyncio.Event) -> None:
        self._deployment_id = deployment_id
        self._recorder = recorder
        self._cancelled = cancelled

    async def act(self, step: Step, context: StepContext, nodes: Sequence[str]) -> Mapping[str, Outcome]:
        """Runs a step and returns an outcome for every node whatever the step does.

        Args:
            step: which.
            context: of the nodes that are still in the deployment.
            nodes: those on which it is run.

        Raises:
            Cancelled, LeaseLost, StoreFailed: it is about the whole deployment.
        """
        timeout = max(policy(step, context, node).timeout for node in nodes)
        try:
            work = step.run(replace(context, timeout=timeout), nodes)
            found = await self._until_cancelled(work, timeout + GRACE)
        except (Cancelled, LeaseLost, StoreFailed):
            # None of these is the step's fault: they are about the whole deployment.
            raise
        except TimeoutError:
            failure = Failure(reason=step.timeout_reason, description=f"no answer within {timeout:.0f} s")
            return self._unless_done(nodes, failure)
        except Exception as error:
            logger.exception("deployment=%s step=%s unforeseen error", self._deployment_id, step.name)
            text = f"the step broke off: {type(error).__name__}: {first_line(str(error))}"
            failure = Failure(reason=FailureReason.INTERNAL, description=text, retriable=False)
            return self._unless_done(nodes, failure)
        missing = Failure(reason=FailureReason.INTERNAL, description="the step gave no outcome", retriable=False)
        return {node: found.get(node, missing) for node in nodes}

    def _unless_done(self, nodes: Sequence[str], failure: Failure) -> Mapping[str, Outcome]:
        """Returns the failure for the nodes that had not said before that they are done."""
        return {node: None if node in self._recorder.done else failure for node in nodes}

    async def _until_cancelled(self, work: Awaitable[Mapping[str, Outcome]], timeout: float) -> Mapping[str, Outcome]:
        """Waits for a step. Raises TimeoutError when its time is over, Cancelled when the deployment is cancelled."""
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._cancelled.wait())
        try:
            await asyncio.wait({task, stop}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            if stop.done():
                raise Cancelled
            raise TimeoutError
        finally:
            stop.cancel()
            await _ended(task)
            await self._recorder.flush()


def policy(step: Step, context: StepContext, node: str) -> StepPolicy:
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
    if len(text) > LAST_WORDS:
        text = text[: LAST_WORDS - 1] + "…"
    return replace(failure, description=f"{text} (step {step})")


def first_line(text: str) -> str:
    """Returns the first line of an error's text, bounded."""
    return (text.strip().splitlines() or ["no text"])[0][:200]


async def _ended(task: "asyncio.Future[Mapping[str, Outcome]]") -> None:
    """Stops a task and waits until it has; what it still had to say is of no interest."""
    if task.done():
        return
    task.cancel()
    _, left = await asyncio.wait({task}, timeout=STOP_SECONDS)
    if left:
        logger.error("a step does not stop within %.0f s after it was cancelled; going on without it", STOP_SECONDS)
    elif not task.cancelled() and task.exception() is not None:
        logger.warning("a step that was stopped ended with an error", exc_info=task.exception())
