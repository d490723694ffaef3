"""Writing the partition table on nodes."""

from dataclasses import replace

import pytest

from kadeploy_deployer.domain.snapshot import DeploymentSpec
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.ports import NodeUnreachable
from kadeploy_deployer.steps.partition import PARTITION as STEP
from tests.fakes import snapshots
from tests.fakes.snapshots import GIB
from tests.fakes.step_workshop import Workshop, failure, outcome

SPEC = DeploymentSpec(nodes="node-1", environment_name="debian", write_partition_table=True)
SFDISK = ("sfdisk", "--wipe", "always", "--wipe-partitions", "always", "/dev/vda")


@pytest.fixture(autouse=True)
def disk(workshop: Workshop) -> None:
    workshop.shell.answer("blockdev", "--getsize64", "--getss", stdout=f"{4 * GIB}\n512\n")


async def test_the_table_is_written_from_the_inventory(workshop: Workshop) -> None:
    assert await outcome(STEP, workshop.context(spec=SPEC)) is None
    written = [ran for ran in workshop.shell.ran if ran.arguments == SFDISK]
    assert [ran.stdin.decode().splitlines()[-1] for ran in written] == [
        "/dev/vda3 : start=1574912, size=4194304, type=83"
    ]
    assert workshop.shell.commands("node-1")[-1] == ("blockdev", "--getsize64", "/dev/vda1", "/dev/vda2", "/dev/vda3")


async def test_the_target_has_the_environment_s_type(workshop: Workshop) -> None:
    environment = snapshots.an_environment(workshop.image, partition_type_id=0xA5)
    assert await outcome(STEP, workshop.context(spec=SPEC, environment=environment)) is None
    assert any(b"type=a5" in ran.stdin for ran in workshop.shell.ran)


async def test_all_of_the_disk_is_let_go_of_first(workshop: Workshop) -> None:
    workshop.shell.answer("cat", "/proc/mounts", stdout="/dev/vda3 /mnt/dest ext4 rw 0 0\n/dev/vdb1 /other ext4 rw\n")
    workshop.shell.answer("cat", "/proc/swaps", stdout="Filename Type\n/dev/vda1 partition 1 0 -2\n")
    assert await outcome(STEP, workshop.context(spec=SPEC)) is None
    commands = workshop.shell.commands("node-1")
    assert [words for words in commands if words[0] in {"umount", "swapoff", "sfdisk"}] == [
        ("swapoff", "/dev/vda1"),
        ("umount", "/mnt/dest"),
        SFDISK,
    ]


RELEASE = ("kadeploy-release-disk", "/dev/vda")


async def test_what_holds_the_disk_is_ended_before_the_table_is_written(workshop: Workshop) -> None:
    assert await outcome(STEP, workshop.context(spec=SPEC)) is None
    commands = list(workshop.shell.commands("node-1"))
    assert commands.index(RELEASE) < commands.index(SFDISK)


async def test_a_disk_that_cannot_be_released_is_told_and_no_table_is_written(workshop: Workshop) -> None:
    workshop.shell.answer(RELEASE[0], exit_status=1, stderr="kadeploy-release-disk: the array md7 cannot be stopped\n")
    failed = await failure(STEP, workshop.context(spec=SPEC))
    assert failed.description == (
        "releasing /dev/vda on node-1 failed: exit 1: kadeploy-release-disk: the array md7 cannot be stopped"
    )
    assert SFDISK not in workshop.shell.commands("node-1")


async def test_a_deployment_environment_of_earlier_days_is_told_and_goes_on(workshop: Workshop) -> None:
    workshop.shell.answer(RELEASE[0], exit_status=127, stderr="sh: kadeploy-release-disk: not found\n")
    assert await outcome(STEP, workshop.context(spec=SPEC)) is None
    assert SFDISK in workshop.shell.commands("node-1")
    assert "has no kadeploy-release-disk: build it anew" in str(workshop.recorder.remarks)


async def test_a_disk_that_is_smaller_than_the_inventory_says_is_told(workshop: Workshop) -> None:
    workshop.shell.answer("blockdev", "--getsize64", "--getss", stdout=f"{GIB}\n512\n")
    failed = await failure(STEP, workshop.context(spec=SPEC))
    assert failed.reason is FailureReason.PARTITION_TOO_SMALL
    assert "needs 2,147,483,648 bytes and there are 267,386,880 left on a disk of 1,073,741,824" in failed.description
    assert not failed.retriable
    assert SFDISK not in workshop.shell.commands("node-1")


async def test_a_missing_disk_is_told(workshop: Workshop) -> None:
    workshop.shell.answer("blockdev", exit_status=1, stderr="blockdev: cannot open /dev/vda: No such file or directory")
    failed = await failure(STEP, workshop.context(spec=SPEC))
    assert failed.reason is FailureReason.PARTITIONING_FAILED
    assert failed.description == (
        "asking for the size of /dev/vda on node-1 failed: "
        "exit 1: blockdev: cannot open /dev/vda: No such file or directory"
    )


async def test_a_disk_that_the_inventory_does_not_know_is_told(workshop: Workshop) -> None:
    nodes = {"node-1": snapshots.a_node(device="sdz")}
    failed = await failure(STEP, workshop.context(spec=SPEC, nodes=nodes))
    assert failed.description == "the inventory has no disk sdz on node-1"


async def test_what_sfdisk_says_is_told(workshop: Workshop) -> None:
    workshop.shell.answer("sfdisk", exit_status=1, stderr="Checking…\nsfdisk: /dev/vda: device is in use\n")
    failed = await failure(STEP, workshop.context(spec=SPEC))
    assert failed.reason is FailureReason.PARTITIONING_FAILED
    assert failed.description.endswith("failed: exit 1: sfdisk: /dev/vda: device is in use")


async def test_partitions_may_appear_late(workshop: Workshop) -> None:
    workshop.shell.answer("blockdev", "--getsize64", "/dev/vda1", exit_status=1, stderr="no such file", times=3)
    assert await outcome(STEP, workshop.context(spec=SPEC)) is None


async def test_partitions_that_never_appear_are_told(workshop: Workshop) -> None:
    workshop.shell.answer("blockdev", "--getsize64", "/dev/vda1", exit_status=1, stderr="no /dev/vda2")
    failed = await failure(STEP, workshop.context(spec=SPEC))
    assert failed.description == "the new partitions of /dev/vda did not appear on node-1: no /dev/vda2"


async def test_the_profile_may_want_it_for_one_cluster_alone(workshop: Workshop) -> None:
    nodes = {"node-1": snapshots.a_node(), "node-2": replace(snapshots.a_node("node-2"), cluster="other")}
    profiles = {"default": snapshots.a_profile(), "other": snapshots.a_profile(partition_on_deploy=True)}
    context = workshop.context(nodes=nodes, profiles=profiles)
    assert [STEP.applies(context, name) for name in nodes] == [False, True]
    assert await outcome(STEP, context, "node-2") is None
    assert SFDISK in workshop.shell.commands("node-2")


async def test_an_unreachable_node_is_told(workshop: Workshop) -> None:
    workshop.shell.answer("sfdisk", error=NodeUnreachable("the connection to node-1 broke while 'sfdisk' ran"))
    failed = await failure(STEP, workshop.context(spec=SPEC))
    assert failed.reason is FailureReason.PARTITIONING_FAILED
    assert "broke while 'sfdisk' ran" in failed.description
