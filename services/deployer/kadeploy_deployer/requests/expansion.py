"""Node sets off the event loop: one of a hundred thousand names takes some tenths of a second to read."""

import asyncio

from kadeploy_deployer.domain import node_set


async def expand_aside(text: str) -> tuple[str, ...]:
    """Returns the names of a node set, or raises InvalidNodeSet; other calls are answered meanwhile."""
    return await asyncio.to_thread(node_set.expand, text)
