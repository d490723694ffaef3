"""Reads a local file in parts without holding up the event loop."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

PART_BYTES = 256 * 1024


async def file_parts(path: Path) -> tuple[int, AsyncIterator[bytes]]:
    """Returns the size of a file and an iterator over its content. Raises OSError."""
    size = (await asyncio.to_thread(path.stat)).st_size
    return size, _parts(path)


async def _parts(path: Path) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while part := await asyncio.to_thread(file.read, PART_BYTES):
            yield part
    finally:
        file.close()
