"""Reboots into systems that something else installed: what proves them, with host keys and without."""

from dataclasses import replace
from pathlib import Path

import pytest

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.operation import DeployedEnvironment, DeployedPartition
from kadeploy_deployer.domain.states import BootMethod, RebootLevel
from kadeploy_deployer.ports import BootGrubDisk
from tests.fakes.control_room import SYSTEM_KEY, ControlRoom, system
from tests.fakes.fake_machines import IMAGE_KEY, PREVIOUS, SYSTEM, token_of

REFERENCE = DeployedPartition(device="vda", partition=3)
UNKNOWN_KEY = "ssh-ed25519 UNKNOWN"


@pytest.fixture
def room(tmp_path: Path) -> ControlRoom:
    """Two nodes that run a user's system; vda3 is declared to hold another one, with the key SYSTEM_KEY."""
    room = ControlRoom(tmp_path)
    for name in room.names:
        machine = room.machines[name]
        machine.runs, machine.files = PREVIOUS, {IMAGE_KEY: f"{SYSTEM_KEY} root@reference"}
        declare(room, name, SYSTEM_KEY)
    return room


def declare(room: ControlRoom, name: str, *keys: str) -> None:
    debian = room.inventory.resolution.environment
    declared = system(name, debian, deployment_id="declared-1", facts=NodeFacts(host_keys=keys))
    theirs = system(name, debian, partition=1, deployment_id="d-0")
    facts = replace(theirs.facts, host_keys=(room.machines[name].previous_key,))
    room.know(name, declared, replace(theirs, facts=facts), host_keys=facts.host_keys)


async def test_a_declared_system_needs_no_marker_and_is_proved_by_its_key_token_and_root(room: ControlRoom) -> None:
    await room.reboot(REFERENCE)
    assert room.told == {"node-1": None, "node-2": None}
    assert {room.machines[name].runs for name in room.names} == {SYSTEM}
    assert token_of(room.machines["node-1"])


async def test_a_user_s_system_that_runs_on_is_reported_and_reset(room: ControlRoom) -> None:
    machine = room.machines["node-1"]
    machine.boots = [PREVIOUS, PREVIOUS]
    await room.reboot(REFERENCE, nodes="node-1")
    assert room.reasons() == {"node-1": "WRONG_SYSTEM_BOOTED"}
    assert room.workshop.power.did == [("node-1", "hard")]


async def test_without_host_keys_the_token_and_the_root_have_to_prove_it(room: ControlRoom) -> None:
    machine = room.machines["node-1"]
    machine.files[IMAGE_KEY] = f"{UNKNOWN_KEY} root@reference"
    declare(room, "node-1")
    await room.reboot(REFERENCE, nodes="node-1")
    assert room.told == {"node-1": None}
    room.told.clear()
    machine.root = "vda2"
    await room.reboot(REFERENCE, nodes="node-1", level=RebootLevel.HARD)
    assert room.reasons() == {"node-1": "WRONG_SYSTEM_BOOTED"}
    assert "not from /dev/vda3" in str(room.told["node-1"])


async def test_with_host_keys_a_system_with_another_key_is_not_believed(room: ControlRoom) -> None:
    room.machines["node-1"].files[IMAGE_KEY] = f"{UNKNOWN_KEY} root@elsewhere"
    await room.reboot(REFERENCE, nodes="node-1", level=RebootLevel.HARD)
    assert room.reasons() == {"node-1": "WRONG_SYSTEM_BOOTED"}


async def test_a_declared_system_is_found_by_its_environment_and_boots_from_its_own_disk(room: ControlRoom) -> None:
    room.known["node-1"] = replace(room.known["node-1"], systems=room.known["node-1"].systems[:1])
    await room.reboot(DeployedEnvironment(name="debian"), nodes="node-1", boot_method=BootMethod.GRUB)
    assert room.told == {"node-1": None}
    entry = room.workshop.boot.entries["node-1"]
    assert isinstance(entry, BootGrubDisk)
    assert (entry.device, entry.partition) == ("vda", 3)
