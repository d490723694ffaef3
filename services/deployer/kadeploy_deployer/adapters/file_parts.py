"""Reads a local file in parts without holding up the event loop."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from kadeploy_deployer.files.file_threads import FileThreads
from kadeploy_deployer.ports import OpenedFile

PART_BYTES = 256 * 1024


@asynccontextmanager
async def file_parts(path: Path, threads: FileThreads) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
    """Gives the size of a file and an iterator over its content, good for as long as it is held. Raises OSError."""
    with await threads.run(lambda _: OpenedFile.open(path), discard=OpenedFile.close) as file:
        yield file.size(), _parts(file, threads)


async def _parts(file: OpenedFile, threads: FileThreads) -> AsyncIterator[bytes]:
    offset = 0

    def read(_stopped: threading.Event) -> bytes:
        return file.read_at(offset, PART_BYTES)

    while part := await threads.run(read):
        offset += len(part)
        yield part
