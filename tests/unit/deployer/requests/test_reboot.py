"""Reboots outside of deployments, on machines that answer as real ones would."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select

from kadeploy_deployer.domain.control_errors import InvalidControl, NothingDeployedThere
from kadeploy_deployer.domain.errors import InvalidNodeSet, RightMissing
from kadeploy_deployer.domain.operation import (
    DeployedEnvironment,
    DeployedPartition,
    DeploymentKernel,
    PresentEntry,
    Target,
)
from kadeploy_deployer.domain.states import BootMethod, RebootLevel
from kadeploy_deployer.ports import BootChainload, BootDeploymentKernel, BootGrubDisk, BootNetworkKernel
from kadeploy_deployer.store.tables import node_locks, node_records
from tests.fakes.control_room import ROOT, SYSTEM_KEY, ControlRoom, system
from tests.fakes.fake_machines import DEPLOYMENT, PREVIOUS, SYSTEM, FakeMachine, token_of

ENTRY = BootNetworkKernel(kernel_digest="", initrd_digest="", arguments="root=/dev/vda3")


@pytest.fixture
def room(tmp_path: Path) -> ControlRoom:
    room = ControlRoom(tmp_path)
    for name in room.machines.machines:
        room.workshop.boot.entries[name] = ENTRY
    return room


def astray(room: ControlRoom, *boots: str) -> FakeMachine:
    """Makes node-1 boot these systems, whatever its entry says, and know the one that was there before."""
    machine = room.machines["node-1"]
    machine.boots = list(boots)
    machine.previous_deployment = "d-0"
    debian = room.inventory.resolution.environment
    previous = system("node-1", debian, partition=1, deployment_id="d-0")
    facts = replace(previous.facts, host_keys=(machine.previous_key,))
    room.know("node-1", system("node-1", debian), replace(previous, facts=facts))
    return machine


async def test_a_simple_reboot_ends_when_every_node_has_another_boot_id(room: ControlRoom) -> None:
    before = {name: machine.boot_id for name, machine in room.machines.machines.items()}
    await room.reboot(PresentEntry())
    assert room.told == {"node-1": None, "node-2": None}
    assert all(machine.boot_id != before[name] for name, machine in room.machines.machines.items())
    assert room.workshop.power.did == []
    assert await room.held() == {}


async def test_a_node_that_ignores_the_soft_reboot_is_rebooted_harder_as_the_ladder_says(room: ControlRoom) -> None:
    room.machines["node-1"].deaf_to = {"soft"}
    await room.reboot(PresentEntry())
    assert room.told == {"node-1": None, "node-2": None}
    assert room.workshop.power.did == [("node-1", "hard")]


async def test_a_level_falls_back_on_nothing(room: ControlRoom) -> None:
    room.machines["node-1"].deaf_to = {"soft"}
    await room.reboot(PresentEntry(), level=RebootLevel.SOFT)
    assert room.reasons() == {"node-1": "NOT_THERE_AFTER_REBOOT", "node-2": ""}
    assert "it has not rebooted yet" in str(room.told["node-1"])
    assert room.workshop.power.did == []


async def test_a_hard_reboot_of_a_node_on_which_nothing_was_deployed_is_not_waited_for(room: ControlRoom) -> None:
    room.know("node-1", host_keys=())
    room.machines["node-1"].runs = PREVIOUS
    await room.reboot(PresentEntry(), nodes="node-1", level=RebootLevel.HARD)
    assert room.told == {"node-1": None}
    assert room.workshop.power.did == [("node-1", "hard")]


async def test_the_deployment_environment_is_booted_with_a_token_of_this_reboot(room: ControlRoom) -> None:
    await room.reboot(DeploymentKernel(label="rescue"), kernel_arguments="debug")
    assert room.told == {"node-1": None, "node-2": None}
    entry = room.workshop.boot.entries["node-1"]
    assert isinstance(entry, BootDeploymentKernel)
    assert entry.label == "rescue"
    assert entry.arguments.startswith("debug kadeploy.token=")
    assert entry.arguments.endswith("kadeploy.node=node-1")
    machines = room.machines.machines.values()
    assert {machine.runs for machine in machines} == {DEPLOYMENT}
    assert len({token_of(machine) for machine in machines}) == 2


async def test_a_partition_boots_what_was_deployed_there_from_files_that_are_uploaded_again(room: ControlRoom) -> None:
    await room.reboot(DeployedPartition(device="vda", partition=3), level=RebootLevel.HARD)
    assert room.told == {"node-1": None, "node-2": None}
    entry = room.workshop.boot.entries["node-1"]
    assert isinstance(entry, BootNetworkKernel)
    assert entry.kernel_digest in room.workshop.boot.files
    assert entry.initrd_digest in room.workshop.boot.files
    assert entry.arguments.startswith("root=/dev/vda3 console=ttyS0 rw kadeploy.token=")
    assert room.workshop.boot.owners["node-1"].startswith("op-reboot-")


async def test_own_kernel_arguments_replace_the_environment_s(room: ControlRoom) -> None:
    await room.reboot(DeployedPartition(partition=3), kernel_arguments="single", prepare_only=True)
    entry = room.workshop.boot.entries["node-2"]
    assert isinstance(entry, BootNetworkKernel)
    assert entry.arguments.startswith("root=/dev/vda3 single kadeploy.token=")


async def test_a_deployed_system_boots_in_another_way_when_it_is_asked_for(room: ControlRoom) -> None:
    await room.reboot(DeployedPartition(partition=3), boot_method=BootMethod.GRUB)
    assert room.told == {"node-1": None, "node-2": None}
    entry = room.workshop.boot.entries["node-1"]
    assert isinstance(entry, BootGrubDisk)
    assert (entry.device, entry.partition, entry.kernel_path) == ("vda", 3, "/vmlinuz")
    room.told.clear()
    await room.reboot(DeployedPartition(partition=3), boot_method=BootMethod.CHAINLOAD, prepare_only=True)
    assert room.workshop.boot.entries["node-1"] == BootChainload(disk=0, partition=3)


async def test_arguments_that_no_kernel_would_get_are_told_and_nothing_reboots(room: ControlRoom) -> None:
    before = {name: machine.boots_done for name, machine in room.machines.machines.items()}
    await room.reboot(DeployedPartition(partition=3), boot_method=BootMethod.CHAINLOAD, kernel_arguments="single")
    assert room.reasons() == {"node-1": "BOOT_FILES_FAILED", "node-2": "BOOT_FILES_FAILED"}
    assert "kernel arguments mean nothing by chainload" in str(room.told["node-1"])
    assert {name: machine.boots_done for name, machine in room.machines.machines.items()} == before


async def test_preparing_writes_the_entries_and_leaves_the_nodes_running(room: ControlRoom) -> None:
    before = {name: machine.boot_id for name, machine in room.machines.machines.items()}
    await room.reboot(DeployedPartition(partition=3), prepare_only=True)
    assert room.told == {"node-1": None, "node-2": None}
    assert room.workshop.boot.entries["node-1"] != ENTRY
    assert {name: machine.boot_id for name, machine in room.machines.machines.items()} == before


async def test_an_environment_is_looked_for_on_all_partitions_and_the_latest_counts(room: ControlRoom) -> None:
    debian = room.inventory.resolution.environment
    old = system("node-1", debian, partition=2, update_time=1.0, deployment_id="d-0")
    room.know("node-1", old, system("node-1", debian, update_time=2.0))
    await room.reboot(DeployedEnvironment(name="debian"), prepare_only=True)
    entry = room.workshop.boot.entries["node-1"]
    assert isinstance(entry, BootNetworkKernel)
    assert entry.arguments.startswith("root=/dev/vda3")


async def test_nodes_without_the_environment_are_told_and_the_others_reboot(room: ControlRoom) -> None:
    room.know("node-2")
    await room.reboot(DeployedEnvironment(name="debian"))
    assert room.reasons() == {"node-1": "", "node-2": "NOTHING_DEPLOYED_THERE"}
    with pytest.raises(NothingDeployedThere, match="debian version 7"):
        await room.reboot(DeployedEnvironment(name="debian", version=7))


async def test_a_node_that_boots_from_another_partition_is_told_with_what_was_seen(room: ControlRoom) -> None:
    room.machines["node-1"].root = "vda2"
    await room.reboot(DeployedPartition(partition=3), nodes="node-1", level=RebootLevel.HARD)
    assert room.reasons() == {"node-1": "WRONG_SYSTEM_BOOTED"}
    assert "not from /dev/vda3" in str(room.told["node-1"])


async def test_a_system_that_came_up_instead_is_reset_at_once_and_not_waited_for(room: ControlRoom) -> None:
    wrong = astray(room, PREVIOUS)
    begin = room.workshop.clock.time
    await room.reboot(DeployedPartition(partition=3), nodes="node-1")
    assert room.told == {"node-1": None}
    assert wrong.runs == SYSTEM
    assert room.workshop.power.did == [("node-1", "hard")]
    assert room.workshop.clock.time - begin < 100


@pytest.mark.parametrize("target", [DeployedPartition(partition=3), DeploymentKernel()])
async def test_a_system_that_comes_up_instead_each_time_is_told_at_once_by_its_name(
    room: ControlRoom, target: Target
) -> None:
    astray(room, PREVIOUS, PREVIOUS)
    begin = room.workshop.clock.time
    await room.reboot(target, nodes="node-1")
    assert room.reasons() == {"node-1": "WRONG_SYSTEM_BOOTED"}
    assert str(room.told["node-1"]) == (
        "node-1 did not boot what it should: seen last: the system of deployment d-0, running from /dev/root; "
        "tried: soft reboot (waited 21 s), hard reboot (waited 21 s)"
    )
    assert room.workshop.clock.time - begin < 100


async def test_the_deployment_environment_that_came_up_instead_is_named(room: ControlRoom) -> None:
    machine = astray(room, DEPLOYMENT)
    machine.deployment_line = "quiet kadeploy.token=other kadeploy.node=node-1"
    await room.reboot(DeployedPartition(partition=3), nodes="node-1", level=RebootLevel.SOFT)
    assert str(room.told["node-1"]).startswith(
        "node-1 did not boot what it should: seen last: the deployment environment; tried:"
    )


async def test_a_system_that_answers_before_its_disk_is_mounted_is_waited_for(room: ControlRoom) -> None:
    room.machines["node-1"].root = ""
    begin = room.workshop.clock.time
    await room.reboot(DeployedPartition(partition=3), nodes="node-1", level=RebootLevel.HARD)
    assert room.reasons() == {"node-1": "WRONG_SYSTEM_BOOTED"}
    assert room.workshop.clock.time - begin >= 250


async def test_a_machine_that_is_off_is_switched_on_first_unless_one_way_was_asked_for(room: ControlRoom) -> None:
    for name in ("node-1", "node-2"):
        room.workshop.power.on[name] = room.machines[name].powered = False
    await room.reboot(DeployedPartition(partition=3), nodes="node-1")
    await room.reboot(DeployedPartition(partition=3), nodes="node-2", level=RebootLevel.SOFT)
    assert room.reasons() == {"node-1": "", "node-2": "NOT_THERE_AFTER_REBOOT"}
    assert room.workshop.power.did == [("node-1", "on")]


async def test_a_node_in_a_deployment_is_left_alone(room: ControlRoom) -> None:
    await room.hold("node-1")
    await room.reboot(PresentEntry())
    assert room.reasons() == {"node-1": "NODE_BUSY", "node-2": ""}
    assert str(room.told["node-1"]) == "node-1 is held by deployment 20261122-abc"
    assert await room.held() == {"node-1": "20261122-abc"}


async def test_a_right_on_another_partition_opens_a_simple_reboot_and_not_the_partition(room: ControlRoom) -> None:
    room.inventory.rights = {"node-1": {"vda2"}, "node-2": {"vda3"}}
    for target in (DeployedPartition(partition=3), DeployedEnvironment(name="debian")):
        with pytest.raises(RightMissing, match=r"alice has no right to boot partition vda3 of node-1$"):
            await room.reboot(target)
    assert room.told == {}
    await room.reboot(PresentEntry())
    assert room.told == {"node-1": None, "node-2": None}


async def test_without_any_right_nothing_is_done_and_administrators_need_none(room: ControlRoom) -> None:
    room.inventory.rights = {"node-1": {"vda3"}}
    with pytest.raises(RightMissing, match=r"alice has no right to reboot node-2$"):
        await room.reboot(PresentEntry())
    assert room.told == {}
    assert room.machines["node-1"].boots_done == 0
    await room.reboot(DeployedPartition(partition=3), actor=ROOT)
    assert room.told == {"node-1": None, "node-2": None}


async def test_boot_files_that_cannot_be_written_are_told_and_nothing_reboots(room: ControlRoom) -> None:
    room.workshop.boot.refused = {"node-1": "bootctl refused the entry of node-1: its MAC is another node's"}
    await room.reboot(DeployedPartition(partition=3))
    assert room.reasons() == {"node-1": "BOOT_FILES_FAILED", "node-2": ""}
    assert room.machines["node-1"].boots_done == 0


async def test_an_unknown_node_is_told_beside_the_others(room: ControlRoom) -> None:
    await room.reboot(PresentEntry(), nodes="node-[1,99]")
    assert room.reasons() == {"node-99": "NODE_NOT_FOUND", "node-1": ""}


@pytest.mark.parametrize(
    ("target", "options"),
    [
        (PresentEntry(), {"prepare_only": True}),
        (PresentEntry(), {"kernel_arguments": "quiet"}),
        (DeploymentKernel(), {"kernel_arguments": "quiet\ninitrd=evil"}),
        (DeployedEnvironment(name=""), {}),
        (PresentEntry(), {"boot_method": BootMethod.GRUB}),
        (DeploymentKernel(), {"boot_method": BootMethod.NETWORK}),
        (DeployedPartition(partition=3), {"boot_method": BootMethod.KEXEC}),
    ],
)
async def test_what_makes_no_sense_is_refused(room: ControlRoom, target: Target, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidControl):
        await room.reboot(target, **options)
    assert room.told == {}


async def test_what_is_no_node_set_is_refused(room: ControlRoom) -> None:
    with pytest.raises(InvalidNodeSet):
        await room.reboot(PresentEntry(), nodes="node-[1")


async def test_a_system_without_host_keys_cannot_be_proved_and_is_not_booted(room: ControlRoom) -> None:
    debian = room.inventory.resolution.environment
    one = system("node-1", debian)
    room.know("node-1", replace(one, facts=replace(one.facts, host_keys=())))
    await room.reboot(DeployedPartition(partition=3), nodes="node-1")
    assert "no host key" in str(room.told["node-1"])
    assert room.machines["node-1"].runs == SYSTEM
    assert room.machines["node-1"].boots_done == 0


async def test_the_keys_of_the_system_that_was_booted_are_those_of_what_runs(room: ControlRoom) -> None:
    await room.hold("node-1", deployment="earlier")
    await room.database.write(lambda c: c.execute(delete(node_locks)).close())
    await room.reboot(DeployedPartition(partition=3))
    keys = await room.database.read(
        lambda c: dict(c.execute(select(node_records.c.node, node_records.c.host_keys)).all())
    )
    assert keys == {"node-1": f'["{SYSTEM_KEY}"]'}
    await room.reboot(PresentEntry(), tell=lambda *_: None)
    assert (
        await room.database.read(lambda c: c.execute(select(node_records.c.host_keys)).scalar_one()) == keys["node-1"]
    )
