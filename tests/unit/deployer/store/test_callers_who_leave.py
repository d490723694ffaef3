"""A caller who leaves while his lock is being written, on each engine: the write goes on, and is taken back."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from kadeploy_deployer.domain.operation import PresentEntry
from kadeploy_deployer.domain.snapshot import CommandSnapshot
from kadeploy_deployer.requests.console import attach_console
from kadeploy_deployer.store import consoles, creation
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.tables import console_slots, node_locks
from tests.fakes.control_room import ALICE, ControlRoom
from tests.fakes.deployment_world import WallClock

pytestmark = pytest.mark.integration

SECONDS = 20.0
WITH_CONSOLE: Any = {"commands": CommandSnapshot(console=("conman", "{name}"))}


class Slow:
    """A write that has its transaction and goes on when it is told to."""

    def __init__(self, write: Callable[..., Any]) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self._write = write

    def __call__(self, *call: Any) -> Any:
        self.begun.set()
        assert self.go_on.wait(SECONDS)
        return self._write(*call)


@pytest.mark.parametrize("what", ["reboot", "console"])
async def test_nothing_stays_held(
    what: str, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, name = (creation, "create") if what == "reboot" else (consoles, "take")
    slow = Slow(getattr(module, name))
    monkeypatch.setattr(module, name, slow)
    room = ControlRoom(tmp_path, "node-1", database=database, clock=WallClock(), **{"node-1": WITH_CONSOLE})

    async def typed() -> AsyncIterator[bytes]:
        yield b""

    async def show(_part: bytes) -> None:
        pass

    if what == "reboot":
        call = asyncio.create_task(room.reboot(PresentEntry(), nodes="node-1"))
    else:
        call = asyncio.create_task(attach_console("node-1", typed(), actor=ALICE, parts=room.parts, show=show))
    assert await asyncio.to_thread(slow.begun.wait, SECONDS)
    call.cancel()
    # Long enough for what would give the lock back before it is there.
    asyncio.get_running_loop().call_later(0.3, slow.go_on.set)
    await asyncio.gather(call, return_exceptions=True)

    assert call.cancelled()
    assert await asyncio.to_thread(slow.go_on.wait, SECONDS)
    async with asyncio.timeout(SECONDS):
        # The operation was stored, so it is driven: to its end, which is that its caller is gone.
        while room.world.supervisor._driven:  # noqa: ASYNC110 - nobody sets an event
            await asyncio.sleep(0.02)
    # All that was ever to be written is there after this.
    await asyncio.to_thread(database._writers.shutdown)
    assert room.machines["node-1"].boots_done == 0
    counts = [select(func.count()).select_from(table) for table in (node_locks, console_slots)]
    assert await database.read(lambda c: [c.execute(count).scalar_one() for count in counts]) == [0, 0]
