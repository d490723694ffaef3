"""Reboots whose deployer died in the middle, gone on with by another: what was done is proved, and not done again."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.operation import (
    DeployedPartition,
    DeploymentKernel,
    OperationSpec,
    PresentEntry,
    Target,
)
from kadeploy_deployer.domain.states import OperationKind, OperationNodeState
from kadeploy_deployer.domain.transition import NodePosition, StepTarget, enter
from kadeploy_deployer.ports import BootNetworkKernel
from kadeploy_deployer.ports.journal_entries import FactsLearned
from kadeploy_deployer.ports.store_values import Created, NewNode
from kadeploy_deployer.requests.operations import RequestName
from tests.fakes import snapshots
from tests.fakes.control_room import ControlRoom
from tests.fakes.deployment_world import new_deployment
from tests.fakes.fake_machines import token_of

ENTRY = BootNetworkKernel(kernel_digest="", initrd_digest="", arguments="root=/dev/vda3")
NAME = RequestName(owner="alice", request_id="r-1", fingerprint="f")
NODES = ["node-1", "node-2"]
REBOOT = StepTarget(name="reboot", state=OperationNodeState.DOING)


@pytest.fixture
def room(tmp_path: Path) -> ControlRoom:
    room = ControlRoom(tmp_path)
    for name in room.machines.machines:
        room.workshop.boot.entries[name] = ENTRY
    return room


async def ask_again(room: ControlRoom, target: Target) -> None:
    """Asks another deployer, which has taken over what nobody drives any more."""
    heir, parts = room.deployer()
    await room.take_over(heir)
    async with asyncio.timeout(20):
        await room.reboot(target, name=NAME, parts=parts)


async def left_by_the_dead(room: ControlRoom, **boot_ids: str) -> None:
    """Makes the journal say that a dead deployer had begun nodes, "node_1" for node-1, which ran these boots before."""
    nodes = tuple(NewNode(name=name, snapshot=snapshots.a_node(name)) for name in NODES)
    spec = OperationSpec(kind=OperationKind.REBOOT, nodes="node-[1-2]")
    profiles = room.inventory.resolution.profiles
    new = new_deployment("op-dead", [], request_id=NAME.request_id, fingerprint="f", profiles=profiles)
    created = await room.store.create(replace(new, spec=spec, environment=None, nodes=nodes))
    assert isinstance(created, Created)
    assert created.lease is not None
    before = NodePosition(state=OperationNodeState.TO_DO)
    for name, boot_id in boot_ids.items():
        node = name.replace("_", "-")
        facts = NodeFacts(begun=True, left_boot_id=boot_id)
        await room.store.write(created.lease, [enter(node, before, REBOOT)], now=0.0)
        await room.store.write(created.lease, [FactsLearned(node=node, facts=facts)], now=0.0)


def boots(room: ControlRoom) -> dict[str, int]:
    return {name: machine.boots_done for name, machine in room.machines.machines.items()}


async def test_a_reboot_that_happened_is_not_done_again(room: ControlRoom) -> None:
    await left_by_the_dead(room, node_1=room.machines["node-1"].boot_id)
    room.machines.boot(room.machines["node-1"])
    await ask_again(room, PresentEntry())
    assert room.told == {"node-1": None, "node-2": None}
    assert boots(room) == {"node-1": 1, "node-2": 1}


async def test_a_reboot_that_did_not_happen_is_done(room: ControlRoom) -> None:
    await left_by_the_dead(room, node_1=room.machines["node-1"].boot_id)
    await ask_again(room, PresentEntry())
    assert room.told == {"node-1": None, "node-2": None}
    assert boots(room) == {"node-1": 1, "node-2": 1}


async def test_a_node_that_went_down_and_does_not_come_back_gets_the_next_rung(room: ControlRoom) -> None:
    machine = room.machines["node-1"]
    await left_by_the_dead(room, node_1=machine.boot_id)
    room.machines.boot(room.machines["node-1"])
    machine.up_at = float("inf")
    await ask_again(room, PresentEntry())
    assert room.told == {"node-1": None, "node-2": None}
    assert room.workshop.power.did == [("node-1", "hard")]


async def test_a_reboot_without_a_proof_is_unknown(room: ControlRoom) -> None:
    await left_by_the_dead(room, node_1="")
    await ask_again(room, PresentEntry())
    assert room.reasons() == {"node-1": "OUTCOME_UNKNOWN", "node-2": ""}
    assert boots(room) == {"node-1": 0, "node-2": 1}


async def test_nobody_has_to_ask_again(room: ControlRoom) -> None:
    await left_by_the_dead(room, node_1=room.machines["node-1"].boot_id)
    heir, _ = room.deployer()
    await room.take_over(heir)
    ended = await room.ended("op-dead")
    assert ended.description == "2 of 2 nodes rebooted"
    assert boots(room) == {"node-1": 1, "node-2": 1}


@pytest.mark.parametrize("target", [PresentEntry(), DeploymentKernel(), DeployedPartition()], ids=str)
@pytest.mark.parametrize("written", [True, False], ids=["written", "not written"])
@pytest.mark.parametrize("number", range(1, 8))
async def test_a_deployer_killed_at_any_write_of_the_journal_reboots_no_node_twice(
    room: ControlRoom, target: Target, written: bool, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, writes, dead = room.store.write, 0, asyncio.Event()

    async def journal(lease: Any, entries: Sequence[Any], *, now: float) -> None:
        nonlocal writes
        writes += 1
        if writes == number and not written:
            dead.set()
        if not dead.is_set():
            await write(lease, entries, now=now)
        if writes == number:
            dead.set()
        if dead.is_set():
            await asyncio.Event().wait()

    monkeypatch.setattr(room.store, "write", journal)
    first = asyncio.create_task(room.reboot(target, name=NAME, tell=lambda *_: None))
    await asyncio.wait({first, asyncio.create_task(dead.wait())}, return_when=asyncio.FIRST_COMPLETED)
    await room.world.die()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    monkeypatch.undo()

    await ask_again(room, target)

    assert room.told == {"node-1": None, "node-2": None}
    assert boots(room) == {"node-1": 1, "node-2": 1}
    assert await room.held() == {}
    if isinstance(target, DeploymentKernel):
        assert all(token_of(machine) for machine in room.machines.machines.values())
