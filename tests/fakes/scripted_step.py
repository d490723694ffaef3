"""A step that does what a test tells it to."""

import asyncio
from collections.abc import Mapping, Sequence

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.outcome import Failure, StepFailed
from kadeploy_deployer.domain.states import FailureReason, PartitionState
from kadeploy_deployer.steps.step import StepContext

Answer = Failure | Exception | None


class ScriptedStep:
    """Succeeds on every node, but for what `answers` says: per node, one answer per attempt, the last one for ever.

    `holds`, when given, is waited for on every run, after `entered` was set.

    `runs`: the nodes, in the order of the runs.
    """

    def __init__(
        self,
        name: str,
        partition_state: PartitionState = PartitionState.DEPLOYING,
        *,
        answers: Mapping[str, Sequence[Answer]] | None = None,
        timeout: float = 60.0,
        retries: int = 0,
        holds: asyncio.Event | None = None,
        applicable: bool = True,
    ) -> None:
        self.name = name
        self.partition_state = partition_state
        self.timeout = timeout
        self.failure_reason = FailureReason.NOT_THERE_ON_FIRST_CHECK
        self.retries = retries
        self.runs: list[str] = []
        self.stopped = 0
        self.entered = asyncio.Event()
        self.halted = asyncio.Event()
        self._answers = {node: list(answers) for node, answers in (answers or {}).items()}
        self._holds = holds
        self._applicable = applicable

    def applies(self, context: StepContext, node: str) -> bool:
        """As in the protocol."""
        return self._applicable

    def describe(self, context: StepContext, node: str) -> Sequence[str]:
        """As in the protocol."""
        return [f"{self.name} {node}"]

    async def run(self, context: StepContext, node: str) -> NodeFacts:
        """As in the protocol."""
        self.runs.append(node)
        self.entered.set()
        if self._holds is not None:
            try:
                await self._holds.wait()
            except asyncio.CancelledError:
                self.stopped += 1
                self.halted.set()
                raise
        script = self._answers.get(node, [])
        answer = script[0] if script else None
        if len(script) > 1:
            script.pop(0)
        if isinstance(answer, Failure):
            raise StepFailed(answer.reason, answer.description, retriable=answer.retriable)
        if answer is not None:
            raise answer
        return context.facts[node]


def straight_plan(**changed: ScriptedStep) -> list[ScriptedStep]:
    """Returns a plan of three steps through all the states; by name, others may take their places."""
    plan = [
        ScriptedStep("boot", PartitionState.TO_DEPLOY),
        ScriptedStep("write", PartitionState.DEPLOYING),
        ScriptedStep("reboot", PartitionState.REBOOTING),
    ]
    return [changed.get(step.name, step) for step in plan]
