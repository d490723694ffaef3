"""An HTTP server that answers as a test wants it to, also with an answer that has no end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class HttpSite:
    """Answers by path: with a body, a redirection, raw bytes, or a head and then a byte from time to time (`drips`).

    `breaking`: files by path, whose answers break off after so many bytes; `ranges`: what was asked of them.
    """

    port: int
    bodies: dict[str, bytes] = field(default_factory=dict)
    redirections: dict[str, str] = field(default_factory=dict)
    raw: dict[str, bytes] = field(default_factory=dict)
    drips: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    breaking: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    ranges: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    connections: int = 0
    most_connections: int = 0

    async def has(self, connections: int) -> None:
        """Waits until it has so many connections."""
        async with asyncio.timeout(5):
            while self.connections != connections:  # noqa: ASYNC110 - a test may look
                await asyncio.sleep(0.01)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one request and closes."""
        self.connections += 1
        self.most_connections = max(self.connections, self.most_connections)
        try:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            path = lines[0].split()[1]
            self.asked.append(path)
            self.hosts += [line.partition(":")[2].strip() for line in lines if line.lower().startswith("host:")]
            asked = next((line for line in lines if line.lower().startswith("range:")), "")
            if path in self.breaking:
                self._write_some(path, asked, writer)
            else:
                await self._write(path, writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            self.connections -= 1
            writer.close()

    def _write_some(self, path: str, asked: str, writer: asyncio.StreamWriter) -> None:
        """Gives a file in pieces: each answer breaks off after so many bytes, and the next range goes on."""
        body, length = self.breaking[path]
        self.ranges.append(asked.partition(":")[2].strip())
        offset = int(asked.partition("=")[2].rstrip("-") or 0)
        head = "HTTP/1.1 200 OK\r\nAccept-Ranges: bytes\r\n"
        if offset:
            head = f"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {offset}-{len(body) - 1}/{len(body)}\r\n"
        writer.write(f"{head}Content-Length: {len(body) - offset}\r\n\r\n".encode() + body[offset : offset + length])

    async def _write(self, path: str, writer: asyncio.StreamWriter) -> None:
        if path in self.drips:
            head, pause = self.drips[path]
            writer.write(head)
            while not writer.is_closing():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(pause)
        elif path in self.raw:
            writer.write(self.raw[path])
        elif path in self.redirections:
            writer.write(f"HTTP/1.1 302 Found\r\nLocation: {self.redirections[path]}\r\n\r\n".encode())
        elif path in self.bodies:
            body = self.bodies[path]
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        else:
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


@asynccontextmanager
async def http_site(address: str = "127.0.0.1", port: int = 0) -> AsyncIterator[HttpSite]:
    """Serves on an address of loopback, and ends every answer at the end."""
    site = HttpSite(port=port)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(site.answer(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, address, port)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
