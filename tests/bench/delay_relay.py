"""Distance for a benchmark, where the kernel has no netem: passes UDP and TCP on after a while, both ways.

`python -m tests.bench.delay_relay SECONDS ADDRESS UDP:TO TCP:TO` (ports): what comes to ADDRESS at the first port of a
pair goes on to its second. Nothing is lost, turned round or narrowed, and TCP is acknowledged at once on either side,
so this is the kindest distance that there is. Each UDP caller speaks to a port of its own, as TFTP needs.
"""

import asyncio
import selectors
import sys
from collections.abc import Callable
from typing import Any, cast

READ_BYTES = 1 << 16


class Outward(asyncio.DatagramProtocol):
    """A port of our own towards the server, for one caller; what comes back is handed to `answer`."""

    def __init__(self, answer: Callable[[bytes], None]) -> None:
        self._answer = answer
        self._transport: asyncio.DatagramTransport
        # A TFTP server answers from another port than it was asked at; what follows goes there.
        self._peer: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio wants it."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """As asyncio wants it."""
        self._peer = addr
        self._answer(data)

    def send(self, data: bytes, first: Any) -> None:
        """Sends to whoever answered last, at first to the server's known port."""
        self._transport.sendto(data, self._peer or first)


class Inward(asyncio.DatagramProtocol):
    """A port that a caller speaks to. A request, at the known port, gets a port of its own to go on with."""

    def __init__(self, relay: "UdpRelay", outward: Outward | None = None) -> None:
        self._relay = relay
        self._outward = outward
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio wants it."""
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """As asyncio wants it."""
        if self._outward is None:
            self._relay.open(data, addr)
        else:
            self._relay.later(self._outward.send, data, self._relay.server)


class UdpRelay:
    """All conversations over one known port."""

    def __init__(self, address: str, server: tuple[str, int], delay: float) -> None:
        self.server = server
        self._address = address
        self._delay = delay
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()

    def later(self, do: Callable[..., None], *arguments: Any) -> None:
        """Does something when the way is behind it."""
        self._loop.call_later(self._delay, do, *arguments)

    def open(self, data: bytes, caller: Any) -> None:
        """Begins a conversation with its first datagram."""
        task = self._loop.create_task(self._open(data, caller))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, data: bytes, caller: Any) -> None:
        inward: Inward
        outward = Outward(lambda answer: self.later(lambda: inward.transport.sendto(answer, caller)))
        await self._loop.create_datagram_endpoint(lambda: outward, local_addr=(self._address, 0))
        inward = Inward(self, outward)
        await self._loop.create_datagram_endpoint(lambda: inward, local_addr=(self._address, 0))
        self.later(outward.send, data, self.server)


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Passes one direction of a TCP connection on, in order."""
    loop = asyncio.get_running_loop()
    while data := await reader.read(READ_BYTES):
        loop.call_later(delay, writer.write, data)
    loop.call_later(delay, writer.close)


async def serve(delay: float, address: str, udp: tuple[int, int], tcp: tuple[int, int]) -> None:
    """Relays until it is ended."""
    loop = asyncio.get_running_loop()
    relay = UdpRelay(address, (address, udp[1]), delay)
    await loop.create_datagram_endpoint(lambda: Inward(relay), local_addr=(address, udp[0]))

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward_reader, onward_writer = await asyncio.open_connection(address, tcp[1])
        await asyncio.gather(pass_on(reader, onward_writer, delay), pass_on(onward_reader, writer, delay))

    server = await asyncio.start_server(connected, address, tcp[0])
    await server.serve_forever()


def main() -> None:
    """Reads the command line and relays."""
    seconds, address, udp, tcp = sys.argv[1:]
    pairs = [tuple(int(port) for port in word.split(":")) for word in (udp, tcp)]
    # The default selector counts in whole milliseconds, which is as long as the distances that are wanted.
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(serve(float(seconds), address, *cast("list[tuple[int, int]]", pairs)))


if __name__ == "__main__":
    main()
