"""Talking with one command on a node: its input, both its outputs, and how it ended."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import asyncssh

from kadeploy_deployer.ports import LAST_OUTPUT_BYTES, CommandResult, OnPart

READ_BYTES = 64 * 1024


async def converse(
    process: asyncssh.SSHClientProcess[bytes],
    stdin: bytes | AsyncIterator[bytes],
    *,
    on_line: Callable[[str], None] | None,
    on_part: OnPart | None,
) -> CommandResult:
    """Feeds a command, reads what it prints to its end, and returns its result. Arguments as in the port."""
    feeding = asyncio.create_task(_feed(process.stdin, stdin))
    reading = asyncio.create_task(_read(process, on_line, on_part))
    both: set[asyncio.Task[Any]] = {feeding, reading}
    try:
        # What the iterator raises ends the command; that the command stopped reading does not.
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if feeding.done():
            feeding.result()
        stdout, stderr = await reading
        await process.wait_closed()
    finally:
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
    if process.returncode is None:
        raise asyncssh.ConnectionLost("it gave no exit status")
    status = process.returncode if process.returncode >= 0 else 128 - process.returncode
    return CommandResult(exit_status=status, stdout=stdout, stderr=stderr)


async def _feed(writer: asyncssh.SSHWriter[bytes], stdin: bytes | AsyncIterator[bytes]) -> None:
    with suppress(BrokenPipeError, ConnectionError, asyncssh.Error):
        if isinstance(stdin, bytes):
            if stdin:
                writer.write(stdin)
                await writer.drain()
        else:
            async for part in stdin:
                writer.write(part)
                await writer.drain()
        writer.write_eof()


async def _read(
    process: asyncssh.SSHClientProcess[bytes], on_line: Callable[[str], None] | None, on_part: OnPart | None
) -> tuple[str, str]:
    lines = _Lines(on_line) if on_line is not None else None
    stdout, stderr = await asyncio.gather(
        _tail(process.stdout, on_part, is_error=False, lines=lines),
        _tail(process.stderr, on_part, is_error=True, lines=None),
    )
    return stdout, stderr


async def _tail(
    reader: asyncssh.SSHReader[bytes], on_part: OnPart | None, *, is_error: bool, lines: "_Lines | None"
) -> str:
    """Reads to the end, passes on each piece, and returns the last of it."""
    kept: deque[bytes] = deque()
    size = 0
    while part := await reader.read(READ_BYTES):
        kept.append(part)
        size += len(part)
        while size - len(kept[0]) >= LAST_OUTPUT_BYTES:
            size -= len(kept.popleft())
        if lines is not None:
            lines.take(part)
        if on_part is not None:
            # While nobody takes it, the channel's window fills, and the command waits.
            await on_part(part, is_error)
    if lines is not None:
        lines.end()
    return b"".join(kept)[-LAST_OUTPUT_BYTES:].decode(errors="replace")


class _Lines:
    """Pieces on the one side, lines on the other. Of a line that is too long the end is told."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._rest = b""

    def take(self, part: bytes) -> None:
        *complete, rest = (self._rest + part).split(b"\n")
        for line in complete:
            self._tell(line.decode(errors="replace"))
        self._rest = rest[-LAST_OUTPUT_BYTES:]

    def end(self) -> None:
        if self._rest:
            self._tell(self._rest.decode(errors="replace"))
