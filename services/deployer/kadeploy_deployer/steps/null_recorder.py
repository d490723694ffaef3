"""A recorder that keeps nothing: for plans, and for what is done to nodes outside of a deployment."""

from kadeploy_deployer.domain.facts import NodeFacts


class NullRecorder:
    """Keeps nothing."""

    async def output(self, node: str, step: str, text: str) -> None:
        """Keeps nothing."""

    async def remark(self, node: str, text: str) -> None:
        """Keeps nothing."""

    async def learn(self, node: str, facts: NodeFacts) -> None:
        """Keeps nothing."""

    def progress(self, node: str, step: str, done: int, total: int) -> None:
        """Keeps nothing."""
