"""Checking the target and making file systems."""

import pytest

from kadeploy_deployer.domain.snapshot import DeploymentSpec
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.domain.vocabulary import ImageKind
from kadeploy_deployer.steps.format import FORMAT as STEP
from tests.fakes import snapshots
from tests.fakes.snapshots import GIB
from tests.fakes.step_workshop import TARGET, Workshop, failure, outcome, outcomes


@pytest.fixture(autouse=True)
def target(workshop: Workshop) -> None:
    workshop.shell.answer("blockdev", "--getsize64", TARGET, stdout=f"{2 * GIB}\n")


def made(workshop: Workshop) -> list[tuple[str, ...]]:
    return [words for words in workshop.shell.commands("node-1") if words[0].startswith(("mkfs", "mkswap"))]


async def test_the_target_gets_the_environment_s_file_system_with_the_site_s_options(workshop: Workshop) -> None:
    profile = snapshots.a_profile(mkfs_options={"ext4": "-O ^metadata_csum  -b 4096", "xfs": "-K"})
    assert await outcome(STEP, workshop.context(profiles={"default": profile})) is None
    assert made(workshop) == [("mkfs.ext4", "-F", "-q", "-O", "^metadata_csum", "-b", "4096", TARGET)]


@pytest.mark.parametrize(("kind", "options"), [("xfs", ("-f", "-q")), ("btrfs", ("-f", "-q")), ("vfat", ())])
async def test_other_file_systems_are_made_without_questions(
    workshop: Workshop, kind: str, options: tuple[str, ...]
) -> None:
    environment = snapshots.an_environment(workshop.image, file_system=kind)
    assert await outcome(STEP, workshop.context(environment=environment)) is None
    assert made(workshop) == [(f"mkfs.{kind}", *options, TARGET)]


async def test_swap_is_made_with_a_new_table_only(workshop: Workshop) -> None:
    spec = DeploymentSpec(nodes="node-1", environment_name="debian", write_partition_table=True)
    assert await outcome(STEP, workshop.context(spec=spec)) is None
    assert made(workshop) == [("mkfs.ext4", "-F", "-q", TARGET), ("mkswap", "/dev/vda1")]


async def test_tmp_is_made_when_asked_for(workshop: Workshop) -> None:
    spec = DeploymentSpec(nodes="node-1", environment_name="debian", reformat_tmp="xfs")
    assert await outcome(STEP, workshop.context(spec=spec)) is None
    assert made(workshop) == [("mkfs.ext4", "-F", "-q", TARGET), ("mkfs.xfs", "-f", "-q", "/dev/vda2")]


async def test_what_an_earlier_run_mounted_is_unmounted(workshop: Workshop) -> None:
    workshop.shell.answer("cat", "/proc/mounts", stdout=f"{TARGET} /mnt/dest ext4 rw 0 0\n")
    assert await outcome(STEP, workshop.context()) is None
    commands = workshop.shell.commands("node-1")
    assert commands.index(("umount", "/mnt/dest")) < commands.index(("mkfs.ext4", "-F", "-q", TARGET))


async def test_a_target_that_is_too_small_is_told_with_both_numbers(workshop: Workshop) -> None:
    environment = snapshots.an_environment(workshop.image, required_size_bytes=3 * GIB)
    failed = await failure(STEP, workshop.context(environment=environment))
    assert failed.reason is FailureReason.PARTITION_TOO_SMALL
    assert failed.description == "/dev/vda3 of node-1 has 2,147,483,648 bytes, and debian needs 3,221,225,472"
    assert not failed.retriable
    assert made(workshop) == []


async def test_a_target_that_is_not_there_is_told(workshop: Workshop) -> None:
    workshop.shell.answer("blockdev", exit_status=1, stderr=f"blockdev: cannot open {TARGET}")
    failed = await failure(STEP, workshop.context())
    assert failed.reason is FailureReason.FORMAT_FAILED
    assert failed.description == (
        "node-1 has no /dev/vda3: exit 1: blockdev: cannot open /dev/vda3; was the partition table ever written?"
    )


async def test_an_unknown_file_system_is_told(workshop: Workshop) -> None:
    environment = snapshots.an_environment(workshop.image, file_system="zfs")
    failed = await failure(STEP, workshop.context(environment=environment))
    assert "cannot make a file system 'zfs'; it can make ext2, ext3, ext4" in failed.description
    assert not failed.retriable


async def test_what_mkfs_says_is_told(workshop: Workshop) -> None:
    workshop.shell.answer("mkfs.ext4", exit_status=1, stderr="mke2fs 1.47\nmkfs.ext4: Device size is zero\n")
    failed = await failure(STEP, workshop.context())
    assert failed.description == "mkfs.ext4 of /dev/vda3 on node-1 failed: exit 1: mkfs.ext4: Device size is zero"


async def test_a_raw_image_is_only_given_room(workshop: Workshop) -> None:
    environment = snapshots.an_environment(workshop.image, kind=ImageKind.DD, file_system="")
    assert await outcome(STEP, workshop.context(environment=environment)) is None
    assert made(workshop) == []


async def test_one_unreachable_node_does_not_stop_the_other(workshop: Workshop) -> None:
    workshop.shell.unreachable.add("node-2")
    found = await outcomes(STEP, workshop.context("node-1", "node-2"), "node-1", "node-2")
    assert found["node-1"] is None
    failed = found["node-2"]
    assert failed is not None
    assert failed.reason is FailureReason.FORMAT_FAILED
