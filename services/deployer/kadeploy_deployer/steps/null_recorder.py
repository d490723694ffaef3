"""A recorder that keeps nothing: for plans, and for what is done to nodes outside of a deployment."""

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.outcome import Outcome


class NullRecorder:
    """Hears everything, keeps nothing."""

    async def facts(self, node: str, facts: NodeFacts) -> None:
        """Keeps nothing."""

    async def output(self, node: str, step: str, text: str) -> None:
        """Keeps nothing."""

    async def remark(self, node: str, text: str) -> None:
        """Keeps nothing."""

    async def ended(self, node: str, outcome: Outcome, *, at: float | None = None) -> None:
        """Keeps nothing."""

    def progress(self, node: str, step: str, done: int, total: int) -> None:
        """Keeps nothing."""
