"""A right that ends during a call on nodes: each node is asked for before it is acted on, however late that is."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kadeploy_deployer.domain.errors import RightMissing
from kadeploy_deployer.domain.operation import DeployedPartition, PresentEntry, Target
from kadeploy_deployer.domain.states import PowerAction, RebootLevel
from kadeploy_deployer.engine.rights import PATIENCE
from kadeploy_deployer.ports import BootNetworkKernel
from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_deployer.requests.node_access import make_guard
from kadeploy_deployer.requests.operations import RequestName, stop_operation
from kadeploy_deployer.requests.remote_command import CommandEnd, CommandOutput, run_command
from kadeploy_edge.errors import Unreachable
from tests.fakes.control_room import ALICE, ROOT, ControlRoom
from tests.fakes.deployment_world import WallClock
from tests.fakes.gated_power import GatedPower

ENTRY = BootNetworkKernel(kernel_digest="", initrd_digest="", arguments="root=/dev/vda3")


class InventoryAway(Unreachable):
    reason = "INVENTORY_UNREACHABLE"


@pytest.fixture
def room(tmp_path: Path) -> ControlRoom:
    room = ControlRoom(tmp_path, reboot_window_size=1, reboot_window_pause=600.0)
    room.inventory.rights = {name: {"vda3"} for name in room.machines.machines}
    return room


def ends_before(room: ControlRoom, check: int, node: str) -> None:
    """Lets the right on a node end before a check is answered; the first, when the call is allowed, is 1."""

    def on_check() -> None:
        if len(room.inventory.checks) >= check and room.inventory.rights is not None:
            room.inventory.rights.pop(node, None)

    room.inventory.on_check = on_check


async def reboot(room: ControlRoom, target: Target | None = None, **options: Any) -> None:
    async with asyncio.timeout(20):
        await room.reboot(target or PresentEntry(), **options)


async def cycle(room: ControlRoom, *, actor: Actor = ALICE) -> None:
    async with asyncio.timeout(20):
        await room.switch(PowerAction.CYCLE, RebootLevel.HARD, actor=actor)


async def test_a_node_whose_window_opens_after_the_right_has_ended_is_left_alone(room: ControlRoom) -> None:
    room.workshop.boot.entries.update(dict.fromkeys(room.machines.machines, ENTRY))
    before = room.machines["node-2"].boot_id
    begun = room.workshop.clock.time

    def on_check() -> None:
        if room.workshop.clock.time > begun + 300 and room.inventory.rights is not None:
            room.inventory.rights.pop("node-2", None)

    room.inventory.on_check = on_check
    await reboot(room)

    assert room.reasons() == {"node-1": "", "node-2": "RIGHT_MISSING"}
    assert str(room.told["node-2"]) == "alice has no right to reboot node-2"
    assert room.machines["node-2"].boot_id == before
    assert await room.held() == {}


async def test_a_rung_of_the_ladder_is_not_climbed_when_the_right_has_ended(tmp_path: Path) -> None:
    room = ControlRoom(tmp_path, "node-1", reboot_ladder=(RebootLevel.SOFT, RebootLevel.HARD))
    room.inventory.rights = {"node-1": {"vda3"}}
    room.workshop.boot.entries["node-1"] = ENTRY
    room.machines["node-1"].deaf_to = {"soft"}
    # Admission, the beginning, the soft reboot, and then the hard one.
    ends_before(room, 4, "node-1")
    async with asyncio.timeout(20):
        await room.reboot(PresentEntry(), nodes="node-1")
    assert room.reasons() == {"node-1": "RIGHT_MISSING"}
    assert ("node-1", "hard") not in room.workshop.power.did


async def test_no_entry_is_written_for_a_node_on_which_the_right_has_ended(room: ControlRoom) -> None:
    # Twice for the partition, once for any: then the operation begins.
    ends_before(room, 4, "node-2")
    await reboot(room, DeployedPartition(), prepare_only=True)
    assert room.reasons() == {"node-1": "", "node-2": "RIGHT_MISSING"}
    assert set(room.workshop.boot.entries) == {"node-1"}


async def test_a_right_on_another_partition_does_not_open_the_one_that_is_booted(room: ControlRoom) -> None:
    def on_check() -> None:
        if len(room.inventory.checks) >= 4 and room.inventory.rights is not None:
            room.inventory.rights["node-2"] = {"vda1"}

    room.inventory.on_check = on_check
    await reboot(room, DeployedPartition(), prepare_only=True)
    assert room.reasons() == {"node-1": "", "node-2": "RIGHT_MISSING"}


async def test_power_is_not_switched_when_the_right_has_ended(room: ControlRoom) -> None:
    ends_before(room, 2, "node-2")
    await cycle(room)
    assert room.reasons() == {"node-1": "", "node-2": "RIGHT_MISSING"}
    assert room.workshop.power.did == [("node-1", "hard")]


async def test_administrators_are_not_asked_for(room: ControlRoom) -> None:
    room.inventory.rights = {}
    await cycle(room, actor=ROOT)
    assert room.reasons() == {"node-1": "", "node-2": ""}
    assert room.inventory.checks == []


async def test_an_inventory_that_is_away_for_a_moment_takes_no_right(room: ControlRoom) -> None:
    clock = room.workshop.clock
    back = clock.time + PATIENCE / 2

    def on_check() -> None:
        away = len(room.inventory.checks) > 1 and clock.time < back
        room.inventory.error = InventoryAway("the inventory does not answer") if away else None

    room.inventory.on_check = on_check
    await cycle(room)
    assert room.reasons() == {"node-1": "", "node-2": ""}


async def test_an_inventory_that_stays_away_leaves_the_nodes_alone_and_is_told(room: ControlRoom) -> None:
    def on_check() -> None:
        if len(room.inventory.checks) > 1:
            room.inventory.error = InventoryAway("the inventory does not answer")

    room.inventory.on_check = on_check
    await cycle(room)
    assert room.reasons() == {"node-1": "INVENTORY_UNREACHABLE", "node-2": "INVENTORY_UNREACHABLE"}
    assert room.workshop.power.did == []


async def test_nodes_that_are_acted_on_at_the_same_time_share_a_question(room: ControlRoom) -> None:
    names = [f"node-{number}" for number in range(1000)]
    room.inventory.rights = {name: {"vda3"} for name in names if name != "node-7"}
    guard = make_guard(room.parts, ALICE, to="work on")
    found = await asyncio.gather(*(guard.must_have(name) for name in names), return_exceptions=True)
    assert [name for name, error in zip(names, found, strict=True) if error is not None] == ["node-7"]
    assert isinstance(found[7], RightMissing)
    assert len(room.inventory.checks) <= 2


# --- commands ---


async def run(room: ControlRoom, *arguments: str) -> dict[str, CommandEnd]:
    told: dict[str, CommandEnd] = {}

    async def show(_output: CommandOutput) -> None:
        pass

    async with asyncio.timeout(20):
        await run_command(
            "node-[1-2]",
            arguments,
            timeout=0.0,
            stdin=b"",
            actor=ALICE,
            parts=room.parts,
            show=show,
            tell=lambda end: told.update({end.node: end}),
        )
    return told


def reason(end: CommandEnd) -> str:
    return end.error.reason if end.error else ""


async def test_no_command_is_begun_when_the_right_has_ended(room: ControlRoom) -> None:
    ends_before(room, 2, "node-2")
    ends = await run(room, "true")
    assert {node: reason(end) for node, end in ends.items()} == {"node-1": "", "node-2": "RIGHT_MISSING"}
    assert room.workshop.shell.commands("node-2") == []


async def test_a_command_that_goes_on_ends_with_the_right(room: ControlRoom) -> None:
    stopped: list[str] = []

    async def endless(ran: Any) -> None:
        if ran.arguments == ("sleep", "infinity"):
            try:
                await asyncio.sleep(3600)
            finally:
                stopped.append(ran.node)

    room.workshop.shell.handler = endless

    def on_check() -> None:
        if room.workshop.clock.time > begun + 150:
            room.inventory.rights = {}

    begun = room.workshop.clock.time
    room.inventory.on_check = on_check
    ends = await run(room, "sleep", "infinity")

    assert {node: reason(end) for node, end in ends.items()} == {"node-1": "RIGHT_MISSING", "node-2": "RIGHT_MISSING"}
    assert sorted(stopped) == ["node-1", "node-2"]
    assert str(ends["node-1"].error) == "alice has no right to run commands on node-1"


# --- stopping what nobody drives ---


async def test_an_operation_that_was_stopped_after_its_deployer_died_is_not_gone_on_with(tmp_path: Path) -> None:
    power = GatedPower()
    room = ControlRoom(tmp_path, power=power, clock=WallClock())
    name = RequestName(owner="alice", request_id="r-1", fingerprint="f")
    asking = asyncio.create_task(room.switch(PowerAction.CYCLE, name=name, tell=lambda *_: None))
    await power.reached.wait()
    await room.world.die()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    heir, parts = room.deployer()
    await stop_operation("r-1", actor=ALICE, parts=parts)
    await room.take_over(heir)
    async with asyncio.timeout(10):
        await room.switch(PowerAction.CYCLE, name=name, parts=parts)
    assert room.reasons() == {"node-1": "", "node-2": "OPERATION_STOPPED"}
    assert power.did == [("node-1", "very_hard")]
    assert await room.held() == {}
