"""Consoles that say what the test wrote, and echo what is typed."""

import asyncio

from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.ports import ConsoleError


class FakeLine:
    """An attached console. `closed`: whether it was given back."""

    def __init__(self, greeting: bytes) -> None:
        self.closed = False
        self.typed = b""
        self._said: asyncio.Queue[bytes] = asyncio.Queue()
        if greeting:
            self._said.put_nowait(greeting)

    async def read(self) -> bytes:
        """As in the port."""
        return await self._said.get()

    async def write(self, data: bytes) -> None:
        """As in the port; the console echoes, and ends at Ctrl-D."""
        self.typed += data
        self._said.put_nowait(b"" if data == b"\x04" else data)

    async def close(self) -> None:
        """As in the port."""
        self.closed = True


class FakeConsole:
    """Consoles of all nodes with a console command. `lines`: attached so far, by node. `broken`: a sentence raised."""

    def __init__(self, greeting: bytes = b"") -> None:
        self.greeting = greeting
        self.lines: dict[str, list[FakeLine]] = {}
        self.broken = ""

    async def attach(self, node: NodeSnapshot) -> FakeLine:
        """As in the port."""
        if self.broken:
            raise ConsoleError(self.broken)
        if not node.commands.console:
            raise ConsoleError(f"{node.name} has no console command")
        line = FakeLine(self.greeting)
        self.lines.setdefault(node.name, []).append(line)
        return line
