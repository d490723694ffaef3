"""Reaching the serial consoles of nodes. Adapter: `adapters/console_commands.py`."""

from typing import Protocol

from kadeploy_deployer.domain.snapshot import NodeSnapshot


class ConsoleError(Exception):
    """A console cannot be reached; `str()` is one sentence with the node's name."""


class ConsoleLine(Protocol):
    """A console that is attached."""

    async def read(self) -> bytes:
        """Returns what the console says next; empty when it has ended."""
        ...

    async def write(self, data: bytes) -> None:
        """Types on the console; what a console that has ended is sent is lost."""
        ...

    async def close(self) -> None:
        """Ends it, with everything that was started for it."""
        ...


class Console(Protocol):
    """Reaches the serial consoles of nodes by the command templates of their snapshot."""

    async def attach(self, node: NodeSnapshot) -> ConsoleLine:
        """Attaches to a console. Raises ConsoleError when the site has none, or its command cannot be run."""
        ...
