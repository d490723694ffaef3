"""A caller who leaves while his lock is being written, on each engine: the write goes on, and is taken back."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from kadeploy_deployer.domain.snapshot import CommandSnapshot
from kadeploy_deployer.engine.operation_request import OperationRequest
from kadeploy_deployer.requests.console import attach_console
from kadeploy_deployer.requests.reboot import RebootRequest, reboot_nodes
from kadeploy_deployer.requests.reboot_targets import PresentEntry
from kadeploy_deployer.store import operations
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.operations import SqlOperationStore
from kadeploy_deployer.store.tables import console_slots, node_locks
from tests.fakes.control_room import ALICE, ControlRoom
from tests.fakes.deployment_world import WallClock

pytestmark = pytest.mark.integration

SECONDS = 20.0
WITH_CONSOLE = {"commands": CommandSnapshot(console=("conman", "{name}"))}


class Slow:
    """A write that has its transaction and goes on when it is told to."""

    def __init__(self, write: Callable[..., Any]) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self._write = write

    def __call__(self, *call: Any) -> Any:
        self.begun.set()
        assert self.go_on.wait(SECONDS)
        return self._write(*call)


@pytest.mark.parametrize("what", ["lock_nodes", "take_console"])
async def test_nothing_stays_held(
    what: str, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(getattr(operations, what))
    monkeypatch.setattr(operations, what, slow)
    room = ControlRoom(tmp_path, "node-1", **{"node-1": WITH_CONSOLE})
    parts = room.on(SqlOperationStore(database), clock=WallClock())

    async def typed() -> AsyncIterator[bytes]:
        yield b""

    async def show(_part: bytes) -> None:
        pass

    if what == "lock_nodes":
        wanted = RebootRequest(nodes="node-1", target=PresentEntry())
        request = OperationRequest(owner="alice")
        call = asyncio.create_task(reboot_nodes(wanted, actor=ALICE, parts=parts, request=request, tell=room.tell))
    else:
        call = asyncio.create_task(attach_console("node-1", typed(), actor=ALICE, parts=parts, show=show))
    assert await asyncio.to_thread(slow.begun.wait, SECONDS)
    call.cancel()
    # Long enough for what would give the lock back before it is there.
    asyncio.get_running_loop().call_later(0.3, slow.go_on.set)
    await asyncio.gather(call, return_exceptions=True)

    assert call.cancelled()
    assert await asyncio.to_thread(slow.go_on.wait, SECONDS)
    # All that was ever to be written is there after this.
    await asyncio.to_thread(database._writers.shutdown)
    counts = [select(func.count()).select_from(table) for table in (node_locks, console_slots)]
    assert await database.read(lambda c: [c.execute(count).scalar_one() for count in counts]) == [0, 0]
