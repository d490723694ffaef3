"""Where steps leave what they see. Implementation: `engine/journal.py`."""

from typing import Protocol

from kadeploy_deployer.domain.facts import NodeFacts


class Recorder(Protocol):
    """Keeps what a step prints and says. What `output` and `remark` are given is durable when they return."""

    async def output(self, node: str, step: str, text: str) -> None:
        """Appends what a script or command printed; the last 64 KiB per node, step and attempt are kept."""
        ...

    async def remark(self, node: str, text: str) -> None:
        """Shows the watchers a sentence about a node ("" for the deployment)."""
        ...

    async def learn(self, node: str, facts: NodeFacts) -> None:
        """Keeps what a step knows of a node before it acts; whoever enters the step again knows it, too."""
        ...

    def progress(self, node: str, step: str, done: int, total: int) -> None:
        """Shows the watchers how far a node is; not durable."""
        ...
