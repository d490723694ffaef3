"""Power, commands and consoles outside of deployments, and the lease of what they hold."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select

from kadeploy_deployer.domain.control_errors import (
    ConsoleInUse,
    ConsoleNotConfigured,
    InvalidControl,
    NodeNotFound,
    OperationLost,
)
from kadeploy_deployer.domain.errors import RightMissing
from kadeploy_deployer.domain.snapshot import CommandSnapshot
from kadeploy_deployer.domain.states import PowerAction, RebootLevel
from kadeploy_deployer.ports import CommandTimedOut
from kadeploy_deployer.requests.console import attach_console
from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_deployer.requests.power import get_power
from kadeploy_deployer.requests.remote_command import CommandEnd, CommandOutput, run_command
from kadeploy_deployer.store.tables import console_slots
from kadeploy_edge.errors import Unreachable
from tests.fakes.control_room import ALICE, ROOT, ControlRoom

WITH_CONSOLE = {"commands": CommandSnapshot(console=("conman", "{name}"))}


@pytest.fixture
def room(tmp_path: Path) -> ControlRoom:
    options: dict[str, Any] = {"node-1": WITH_CONSOLE}
    return ControlRoom(tmp_path, "node-1", "node-2", **options)


# --- power ---


@pytest.mark.parametrize(
    ("action", "level", "did"),
    [
        (PowerAction.ON, None, "on"),
        (PowerAction.OFF, None, "off"),
        (PowerAction.CYCLE, None, "very_hard"),
        (PowerAction.CYCLE, RebootLevel.HARD, "hard"),
    ],
)
async def test_power_is_switched_as_asked(
    room: ControlRoom, action: PowerAction, level: RebootLevel | None, did: str
) -> None:
    await room.switch(action, level)
    assert room.told == {"node-1": None, "node-2": None}
    assert sorted(room.workshop.power.did) == [("node-1", did), ("node-2", did)]
    assert await room.held() == {}


async def test_a_soft_off_logs_in_and_waits_until_the_power_is_gone(room: ControlRoom) -> None:
    room.workshop.shell.answer("sh", "-c", node="node-1")
    room.workshop.power.on = {"node-1": False, "node-2": True}
    await room.switch(PowerAction.OFF, RebootLevel.SOFT)
    assert room.reasons() == {"node-1": "", "node-2": "NOT_THERE_AFTER_REBOOT"}
    assert room.workshop.power.did == []


async def test_a_node_whose_controller_is_dead_does_not_stop_the_other(room: ControlRoom) -> None:
    room.workshop.power.broken = {"node-1"}
    await room.switch(PowerAction.OFF)
    assert room.reasons() == {"node-1": "POWER_FAILED", "node-2": ""}


async def test_power_is_asked_for_of_nodes_in_deployments_too(room: ControlRoom) -> None:
    await room.hold("node-1")
    room.workshop.power.on = {"node-1": False}
    found = await get_power("node-[1-2,99]", actor=ALICE, parts=room.parts)
    assert (found["node-1"], found["node-2"]) == (False, True)
    assert isinstance(found["node-99"], NodeNotFound)
    room.workshop.power.status_known = False
    assert await get_power("node-1", actor=ALICE, parts=room.parts) == {"node-1": None}


async def test_nothing_that_is_off_can_be_asked_to_switch_itself_on(room: ControlRoom) -> None:
    with pytest.raises(InvalidControl):
        await room.switch(PowerAction.ON, RebootLevel.SOFT)


# --- commands ---


async def run(room: ControlRoom, *arguments: str, timeout: float = 0.0) -> list[CommandOutput | CommandEnd]:
    told: list[CommandOutput | CommandEnd] = []

    async def show(output: CommandOutput) -> None:
        told.append(output)

    await run_command(
        "node-[1-2]",
        arguments,
        timeout=timeout,
        stdin=b"in",
        actor=ALICE,
        parts=room.parts,
        show=show,
        tell=told.append,
    )
    return told


async def test_a_command_tells_output_errors_and_status_of_each_node(room: ControlRoom) -> None:
    room.workshop.shell.answer("uptime", node="node-1", stdout="up\nlong\n")
    room.workshop.shell.answer("uptime", node="node-2", stderr="no\n", exit_status=3)
    told = await run(room, "uptime")
    assert [one for one in told if one.node == "node-1"] == [
        CommandOutput(node="node-1", content=b"up\nlong\n"),
        CommandEnd(node="node-1"),
    ]
    assert [one for one in told if one.node == "node-2"] == [
        CommandOutput(node="node-2", content=b"no\n", is_error=True),
        CommandEnd(node="node-2", exit_status=3),
    ]
    ran = room.workshop.shell.ran[0]
    assert (ran.stdin, ran.host.host_keys) == (b"in", ("ssh-ed25519 SYSTEM", "ssh-ed25519 DEPLOYMENT"))


async def test_a_node_that_does_not_answer_in_time_is_told(room: ControlRoom) -> None:
    room.workshop.shell.answer(
        "sleep", node="node-1", error=CommandTimedOut("'sleep' on node-1 did not end within 1 s")
    )
    ends = {one.node: one for one in await run(room, "sleep", "9", timeout=1.0) if isinstance(one, CommandEnd)}
    assert ends["node-1"].error is not None
    assert ends["node-1"].error.reason == "COMMAND_TIMED_OUT"
    assert ends["node-2"].error is None


async def test_no_command_reaches_a_node_in_a_deployment(room: ControlRoom) -> None:
    await room.hold("node-1")
    ends = {one.node: one for one in await run(room, "true") if isinstance(one, CommandEnd)}
    assert ends["node-1"].error is not None
    assert ends["node-1"].error.reason == "NODE_BUSY"
    assert room.workshop.shell.commands("node-1") == []


@pytest.mark.parametrize(("arguments", "timeout"), [((), 0.0), (("",), 0.0), (("a\0b",), 0.0), (("true",), -1.0)])
async def test_what_cannot_be_run_is_refused(room: ControlRoom, arguments: tuple[str, ...], timeout: float) -> None:
    with pytest.raises(InvalidControl):
        await run(room, *arguments, timeout=timeout)


# --- consoles ---


async def consoles(room: ControlRoom) -> list[str]:
    """Returns the nodes whose consoles are in use."""
    return await room.database.read(lambda c: list(c.execute(select(console_slots.c.node)).scalars()))


class Caller:
    """Somebody at a console: what is typed, and what was shown."""

    def __init__(self, room: ControlRoom) -> None:
        self.room, self.shown = room, b""
        self.typed: asyncio.Queue[bytes] = asyncio.Queue()
        self.greeted = asyncio.Event()

    async def attach(self, node: str = "node-1", *, actor: Actor = ALICE) -> None:
        await attach_console(node, self._typing(), actor=actor, parts=self.room.parts, show=self._show)

    async def _typing(self) -> AsyncIterator[bytes]:
        while True:
            yield await self.typed.get()

    async def _show(self, part: bytes) -> None:
        self.shown += part
        self.greeted.set()


async def test_a_console_passes_what_is_typed_and_shown_until_it_ends(room: ControlRoom) -> None:
    caller = Caller(room)
    for part in (b"root\r", b"\x04"):
        caller.typed.put_nowait(part)
    async with asyncio.timeout(5):
        await caller.attach()
    (line,) = room.console.lines["node-1"]
    assert caller.shown == b"login: root\r"
    assert (line.typed, line.closed) == (b"root\r\x04", True)
    assert await consoles(room) == []


async def test_a_console_ends_when_the_right_does(room: ControlRoom) -> None:
    room.inventory.rights = {"node-1": {"vda3"}}
    caller = Caller(room)
    attached = asyncio.create_task(caller.attach())
    await caller.greeted.wait()
    room.inventory.rights = {}
    with pytest.raises(RightMissing):
        async with asyncio.timeout(5):
            await attached
    assert room.console.lines["node-1"][0].closed
    assert 60.0 in room.workshop.clock.slept


async def test_a_console_outlasts_one_unanswered_check_of_the_right_and_not_three(room: ControlRoom) -> None:
    caller = Caller(room)
    attached = asyncio.create_task(caller.attach())
    await caller.greeted.wait()
    room.inventory.error = Unreachable("the inventory does not answer")
    with pytest.raises(Unreachable):
        async with asyncio.timeout(5):
            await attached
    assert room.workshop.clock.slept.count(60.0) >= 3


async def test_a_console_has_one_user_and_a_cancelled_one_leaves_it(room: ControlRoom) -> None:
    first = Caller(room)
    attached = asyncio.create_task(first.attach())
    await first.greeted.wait()
    with pytest.raises(ConsoleInUse, match="in use by alice"):
        await Caller(room).attach(actor=ROOT)
    attached.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attached
    assert room.console.lines["node-1"][0].closed
    assert await consoles(room) == []


async def test_a_console_that_is_not_there_is_told(room: ControlRoom) -> None:
    with pytest.raises(ConsoleNotConfigured, match="node-2 has no console command"):
        await Caller(room).attach("node-2")
    with pytest.raises(InvalidControl):
        await Caller(room).attach("node-[1-2]")
    room.console.broken = "the console command of node-1 cannot be run: conman: No such file or directory"
    with pytest.raises(ConsoleNotConfigured, match="No such file"):
        await Caller(room).attach()
    assert await consoles(room) == []
    room.inventory.rights = {}
    with pytest.raises(RightMissing):
        await Caller(room).attach()


# --- leases ---


async def test_who_is_long_at_a_console_keeps_it_and_loses_it_with_the_lease(room: ControlRoom) -> None:
    caller = Caller(room)
    attached = asyncio.create_task(caller.attach())
    await caller.greeted.wait()
    begun = room.workshop.clock.time
    async with asyncio.timeout(20):
        while room.workshop.clock.time < begun + 200.0:  # noqa: ASYNC110 - nobody sets an event
            await asyncio.sleep(0.01)
    assert await consoles(room) == ["node-1"]
    await room.database.write(lambda c: c.execute(delete(console_slots)).close())
    with pytest.raises(OperationLost):
        async with asyncio.timeout(20):
            await attached
    assert room.console.lines["node-1"][0].closed
