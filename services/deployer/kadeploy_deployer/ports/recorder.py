"""Where steps leave what they learn. Implementation: `engine/recorder.py`."""

from typing import Protocol

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.outcome import Outcome


class Recorder(Protocol):
    """Where a step leaves what it learns. Each call is durable when it returns."""

    async def facts(self, node: str, facts: NodeFacts) -> None:
        """Stores the facts of a node."""
        ...

    async def output(self, node: str, step: str, text: str) -> None:
        """Appends what a script or command printed; the last 64 KiB per node, step and attempt are kept."""
        ...

    async def remark(self, node: str, text: str) -> None:
        """Tells the watchers a sentence about a node ("" for the deployment)."""
        ...

    async def ended(self, node: str, outcome: Outcome, *, at: float | None = None) -> None:
        """Says that a node is through with the step, before the others are: its time is its own.

        A node that did the step is told to the watchers at once, and is not asked again when the deployment resumes.
        `at`: when it was, if not now; of the clock's `now`.
        """
        ...

    def progress(self, node: str, step: str, done: int, total: int) -> None:
        """Tells the watchers how far a node is; not durable."""
        ...
