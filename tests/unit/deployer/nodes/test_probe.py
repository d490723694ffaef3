"""What a node tells of what it runs."""

import pytest

from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.nodes.probe import argument, look, parse
from kadeploy_deployer.ports import ShellHost
from tests.fakes.scripted_remote_shell import ScriptedRemoteShell

TEXT = """\
/proc/cmdline:BOOT_IMAGE=x root=/dev/vda3 kadeploy.token=old kadeploy.token=abc BOOTIF=01-52
/proc/sys/kernel/random/boot_id:0c7a-1
/proc/self/mountinfo:1 1 0:2 / / rw - rootfs none rw
/proc/self/mountinfo:25 1 0:22 / /proc rw,nosuid shared:5 - proc proc rw
/proc/self/mountinfo:21 1 254:3 / / rw,relatime shared:1 - ext4 /dev/root rw
/etc/kadeploy-deployment:deployment=d-1
/etc/kadeploy-deployment:token=abc
/sys/class/block/vda3/dev:254:3
"""
HOST = ShellHost(name="node-1", address="10.0.0.1", host_keys=("ssh-ed25519 A",))


def test_everything_is_read() -> None:
    running = parse(TEXT, "vda3")
    assert running.token == "abc"
    assert running.boot_id == "0c7a-1"
    assert (running.root_number, running.root_source) == ("254:3", "/dev/root")
    assert running.root_is_device
    assert running.marker == {"deployment": "d-1", "token": "abc"}


def test_another_partition_is_not_the_root() -> None:
    running = parse(TEXT.replace("vda3/dev:254:3", "vda3/dev:254:2"), "vda3")
    assert not running.root_is_device


def test_a_partition_that_is_not_there_is_not_the_root() -> None:
    assert not parse(TEXT, "sda3").root_is_device


@pytest.mark.parametrize(("source", "expected"), [("/dev/vda3", True), ("/dev/vda2", False), ("overlay", False)])
def test_file_systems_with_numbers_of_their_own_are_known_by_name(source: str, expected: bool) -> None:
    text = TEXT.replace("254:3 / / rw,relatime", "0:31 /@ / rw").replace("/dev/root", source)
    assert parse(text, "vda3").root_is_device is expected


def test_arguments_are_whole_words() -> None:
    assert argument("a=1 ba=2 a=3 a", "a") == "3"
    assert argument("ba=2", "a") == ""


async def test_missing_files_are_passed_over() -> None:
    shell = ScriptedRemoteShell()
    shell.answer("grep", stdout="".join(TEXT.splitlines(keepends=True)[:2]), exit_status=2)
    running = await look(shell, HOST, device="vda3", timeout=1.0)
    assert (running.boot_id, running.marker) == ("0c7a-1", {})


async def test_a_system_without_an_answer_is_told() -> None:
    shell = ScriptedRemoteShell()
    shell.answer("grep", exit_status=127, stderr="sh: grep: not found\n")
    with pytest.raises(NodeFailed, match="node-1 answers, but does not say what it runs: sh: grep: not found"):
        await look(shell, HOST, device="vda3", timeout=1.0)


MOVED = f"{TEXT.replace('/dev/root', '/dev/sda3')}kadeploy-partition:/dev/sdb3\nkadeploy-partition-number:8:19\n"


@pytest.mark.parametrize(
    ("mount", "expected"),
    [
        ("8:19 / / rw - ext4 /dev/sdb3", True),
        ("8:3 / / rw - ext4 /dev/sda3", False),
        ("0:31 /@ / rw - x /dev/sdb3", True),
    ],
)
def test_the_uuid_of_a_partition_proves_the_root_whatever_the_kernel_calls_it_now(mount: str, expected: bool) -> None:
    running = parse(MOVED.replace("254:3 / / rw,relatime shared:1 - ext4 /dev/sda3", mount), "sda3")
    assert running.root_is_device is expected


async def test_the_uuid_is_looked_for_by_the_node() -> None:
    shell = ScriptedRemoteShell()
    shell.answer("sh", "-c", stdout=MOVED)
    running = await look(shell, HOST, device="sda3", timeout=1.0, partition_uuid="3f2b7c11-03")
    assert (running.partition, running.partition_number) == ("/dev/sdb3", "8:19")
    assert shell.commands("node-1")[0][3:5] == ("look", "3f2b7c11-03")
