"""Mounting the target, and what is known of mounts."""

import pytest

from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.domain.vocabulary import ImageKind
from kadeploy_deployer.steps.mount import MOUNT, MOUNT_IMAGE
from kadeploy_deployer.steps.mounts import Mount, is_on_disk, parse_mounts, parse_swaps
from tests.fakes import snapshots
from tests.fakes.step_workshop import TARGET, Workshop, failure, outcome


async def test_the_target_is_mounted_with_its_file_system(workshop: Workshop) -> None:
    assert await outcome(MOUNT, workshop.context()) is None
    assert workshop.shell.commands("node-1")[-2:] == [
        ("mkdir", "-p", "/mnt/dest"),
        ("mount", "-t", "ext4", TARGET, "/mnt/dest"),
    ]


async def test_a_mounted_target_stays_as_it_is(workshop: Workshop) -> None:
    workshop.shell.answer("cat", "/proc/mounts", stdout=f"proc /proc proc rw 0 0\n{TARGET} /mnt/dest ext4 rw 0 0\n")
    assert await outcome(MOUNT, workshop.context()) is None
    assert workshop.shell.commands("node-1") == [("cat", "/proc/mounts")]


async def test_leftovers_are_unmounted_from_the_inside_out(workshop: Workshop) -> None:
    text = "/dev/vda2 /mnt/dest ext4 rw 0 0\nproc /mnt/dest/proc proc rw 0 0\n/dev/sda1 /mnt/destination ext4 rw 0 0\n"
    workshop.shell.answer("cat", "/proc/mounts", stdout=text)
    assert await outcome(MOUNT, workshop.context()) is None
    unmounted = [words[1] for words in workshop.shell.commands("node-1") if words[0] == "umount"]
    assert unmounted == ["/mnt/dest/proc", "/mnt/dest"]


async def test_what_mount_says_is_told(workshop: Workshop) -> None:
    workshop.shell.answer("mount", exit_status=255, stderr="mount: mounting /dev/vda3 failed: Invalid argument")
    failed = await failure(MOUNT, workshop.context())
    assert failed.reason is FailureReason.MOUNT_FAILED
    assert failed.description == (
        "mounting /dev/vda3 on node-1 failed: exit 255: mount: mounting /dev/vda3 failed: Invalid argument"
    )


async def test_a_raw_image_s_file_system_may_be_unknown(workshop: Workshop) -> None:
    environment = snapshots.an_environment(workshop.image, kind=ImageKind.DD, file_system="")
    assert await outcome(MOUNT_IMAGE, workshop.context(environment=environment)) is None
    assert workshop.shell.commands("node-1")[-1] == ("mount", TARGET, "/mnt/dest")


def test_escaped_mount_points_are_read() -> None:
    assert parse_mounts("/dev/vda3 /mnt/a\\040b\\134c ext4 rw 0 0\n\n") == [
        Mount(device="/dev/vda3", point="/mnt/a b\\c")
    ]


def test_swaps_are_read_without_their_heading() -> None:
    text = "Filename\t\tType\n/dev/vda1   partition\t1\t0\t-2\n"
    assert parse_swaps(text) == ["/dev/vda1"]
    assert parse_swaps("") == []


@pytest.mark.parametrize(
    ("device", "disk", "expected"),
    [
        ("/dev/sda", "/dev/sda", True),
        ("/dev/sda3", "/dev/sda", True),
        ("/dev/sdaa", "/dev/sda", False),
        ("/dev/sdaa1", "/dev/sda", False),
        ("/dev/nvme0n1p2", "/dev/nvme0n1", True),
        ("/dev/nvme0n12", "/dev/nvme0n1", False),
        ("/dev/vda3", "/dev/vda3", True),
        ("tmpfs", "/dev/vda3", False),
    ],
)
def test_devices_belong_to_their_disk(device: str, disk: str, expected: bool) -> None:
    assert is_on_disk(device, disk) is expected
