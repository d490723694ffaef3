"""Reboots whose deployer died in the middle, asked for again: what was done is proved, and not done again."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from kadeploy_deployer.engine.operation_request import OperationRequest, Tell
from kadeploy_deployer.ports import BootNetworkKernel
from kadeploy_deployer.ports.operation_store import NewOperation, NodeNote, RequestName
from kadeploy_deployer.requests.node_access import ControlParts
from kadeploy_deployer.requests.reboot import RebootRequest, reboot_nodes
from kadeploy_deployer.requests.reboot_targets import DeployedPartition, DeploymentKernel, PresentEntry, Target
from tests.fakes.control_room import ALICE, ControlRoom
from tests.fakes.fake_machines import token_of

ENTRY = BootNetworkKernel(kernel_digest="", initrd_digest="", arguments="root=/dev/vda3")
NAME = RequestName(owner="alice", request_id="r-1", fingerprint="f")
NODES = ["node-1", "node-2"]


@pytest.fixture
def room(tmp_path: Path) -> ControlRoom:
    room = ControlRoom(tmp_path)
    for name in room.machines.machines:
        room.workshop.boot.entries[name] = ENTRY
    return room


async def ask(parts: ControlParts, tell: Tell, target: Target) -> None:
    """Asks for the reboot, for the first time or again."""
    request = OperationRequest(owner="alice", name=NAME)

    async def work(tell: Tell) -> None:
        wanted = RebootRequest(nodes="node-[1-2]", target=target)
        await reboot_nodes(wanted, actor=ALICE, parts=parts, request=request, tell=tell)

    await parts.operations.once(request, work, tell)


async def left_by_the_dead(room: ControlRoom, **marks: str) -> None:
    """Makes the journal say that a dead deployer had begun nodes, "node_1" for node-1, with these marks."""
    dead = NewOperation(id="op-dead", owner="alice", lease_seconds=30.0, now=room.workshop.clock.now())
    await room.store.open_request(dead, NAME, NODES, refused={})
    notes = [NodeNote(node=node.replace("_", "-"), mark=mark) for node, mark in marks.items()]
    await room.store.note_nodes(dead.id, notes)
    room.store.leases.clear()


def boots(room: ControlRoom) -> dict[str, int]:
    return {name: machine.boots_done for name, machine in room.machines.machines.items()}


async def test_a_reboot_that_happened_is_not_done_again(room: ControlRoom) -> None:
    await left_by_the_dead(room, node_1=room.machines["node-1"].boot_id)
    room.machines.boot(room.machines["node-1"])
    await ask(room.parts, room.tell, PresentEntry())
    assert room.told == {"node-1": None, "node-2": None}
    assert boots(room) == {"node-1": 1, "node-2": 1}


async def test_a_reboot_that_did_not_happen_is_done(room: ControlRoom) -> None:
    await left_by_the_dead(room, node_1=room.machines["node-1"].boot_id)
    await ask(room.parts, room.tell, PresentEntry())
    assert room.told == {"node-1": None, "node-2": None}
    assert boots(room) == {"node-1": 1, "node-2": 1}


async def test_a_node_that_went_down_and_does_not_come_back_gets_the_next_rung(room: ControlRoom) -> None:
    machine = room.machines["node-1"]
    await left_by_the_dead(room, node_1=machine.boot_id)
    room.machines.boot(room.machines["node-1"])
    machine.up_at = float("inf")
    await ask(room.parts, room.tell, PresentEntry())
    assert room.told == {"node-1": None, "node-2": None}
    assert room.workshop.power.did == [("node-1", "hard")]


async def test_a_reboot_without_a_proof_is_unknown(room: ControlRoom) -> None:
    await left_by_the_dead(room, node_1="")
    await ask(room.parts, room.tell, PresentEntry())
    assert room.reasons() == {"node-1": "OUTCOME_UNKNOWN", "node-2": ""}
    assert boots(room) == {"node-1": 0, "node-2": 1}


@pytest.mark.parametrize("target", [PresentEntry(), DeploymentKernel(), DeployedPartition()], ids=str)
@pytest.mark.parametrize("written", [True, False], ids=["written", "not written"])
@pytest.mark.parametrize("number", range(1, 5))
async def test_a_deployer_killed_at_any_write_of_the_journal_reboots_no_node_twice(
    room: ControlRoom, target: Target, written: bool, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    note_nodes, writes, dead = room.store.note_nodes, 0, asyncio.Event()

    async def note(operation_id: str, notes: Sequence[NodeNote]) -> bool:
        nonlocal writes
        writes += 1
        if writes == number and not written:
            dead.set()
        answer = not dead.is_set() and await note_nodes(operation_id, notes)
        if writes == number:
            dead.set()
        if dead.is_set():
            await asyncio.sleep(0)
            await asyncio.Event().wait()
        return answer

    monkeypatch.setattr(room.store, "note_nodes", note)
    first = asyncio.create_task(ask(room.parts, lambda *_: None, target))
    await asyncio.wait({first, asyncio.create_task(dead.wait())}, return_when=asyncio.FIRST_COMPLETED)
    await room.parts.operations.close()
    await asyncio.gather(first, return_exceptions=True)
    monkeypatch.undo()

    await ask(room.on(room.store), room.tell, target)

    assert room.told == {"node-1": None, "node-2": None}
    assert boots(room) == {"node-1": 1, "node-2": 1}
    if isinstance(target, DeploymentKernel):
        assert all(token_of(machine) for machine in room.machines.machines.values())
