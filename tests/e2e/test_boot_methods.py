"""Ways to boot on real machines, side by side in one lab, told in order: each scenario begins where the last one ended.

BIOS: a raw image by its own loader, another one by GRUB from the disk, and the disk alone for a machine without an
entry. UEFI: by GRUB over the network. Each ends in the deployed system, which says itself what it is.
"""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kadeploy.bootctl.v1 import bootctl_service_pb2, bootctl_service_pb2_grpc
from kadeploy_demo.node_login import NodeAnswer
from kadeploy_demo.scenario import USER, Scenario
from kadeploy_edge.channel import open_channel
from tests.real_site import ENVIRONMENTS, answer_in_time, answer_of, real_site

pytestmark = pytest.mark.lab

RAW = ENVIRONMENTS / "raw" / "raw.env"
MBR = Path("/usr/lib/syslinux/mbr/mbr.bin")
BOOTED_FROM_PARTITION_3 = "tiny: started as node-1 on /dev/vda3"
SECONDS = 600.0


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    directory = tmp_path_factory.mktemp("boot-methods")
    with real_site("boot-methods", directory, firmware={"node-2": "uefi"}) as scenario:
        administrator = scenario.administrator
        administrator.run("ka", "node", "update", "node-2", "--firmware", "uefi")
        administrator.run("ka", "node", "update", "node-1", "--uuid", scenario.lab.node("node-1").uuid)
        administrator.run("karecordenv", "-fe", str(RAW), "--visibility", "public")
        # The same image, described as one without a loader: somebody else has to know its kernel.
        kernel = ("-k", "/boot/vmlinuz", "-i", "/boot/initrd.img", "-p", "console=ttyS0,115200 net.ifnames=0 quiet")
        administrator.run("karecordenv", "-fe", str(RAW), "-n", "plain", *kernel, "--visibility", "public")
        administrator.run("kaadduser", "-l", USER, "-m", "node-1", "-p", "vda2")
        yield scenario


def told_of(scenario: Scenario, node: str) -> dict[str, Any]:
    """Returns what the last deployment of a node tells of it."""
    for entry in scenario.user.read_json("ka", "deployment", "list", "-o", "json"):
        shown = scenario.user.read_json("ka", "deployment", "show", entry["id"], "-o", "json")
        for told in shown["nodes"]:
            if told["node"] == node:
                found: dict[str, Any] = told
                return found
    raise AssertionError(f"{node} was never deployed")


def deploy(scenario: Scenario, *commands: tuple[str, ...]) -> list[int]:
    """Runs kadeploy with each of the options, all at the same time, and returns the exit statuses."""
    running = [
        subprocess.Popen(
            scenario.user.argv(["kadeploy", *options]), env=scenario.user.environment(), stdin=subprocess.DEVNULL
        )
        for options in commands
    ]
    try:
        return [one.wait(SECONDS) for one in running]
    finally:
        for one in running:
            one.kill()


@pytest.fixture(scope="module")
def deployed(scenario: Scenario) -> dict[str, dict[str, Any]]:
    """What became of two deployments, by node. They run at the same time."""
    target = ("-p", "vda3", "--partition-disk")
    statuses = deploy(scenario, ("-e", "raw", "-m", "node-1", *target), ("-e", "tiny", "-m", "node-2", *target))
    told = {name: told_of(scenario, name) for name in ("node-1", "node-2")}
    assert [one["state"] for one in told.values()] == ["deployed", "deployed"], told
    assert statuses == [0, 0]
    return told


def fetched(scenario: Scenario) -> str:
    """Returns what the TFTP server was asked for since the lab is up."""
    return (scenario.lab.directory / "tftpd.log").read_text(errors="replace")


def test_a_raw_image_boots_by_its_own_loader(scenario: Scenario, deployed: dict[str, dict[str, Any]]) -> None:
    answer = answer_of(scenario, deployed["node-1"])
    assert (answer.root_device, answer.host_name) == ("/dev/vda3", "node-1")
    # The command line is the loader's own, so no token can stand on it: the marker in the system has proved it.
    assert "own.loader=1" in answer.kernel_command_line
    assert "kadeploy.token" not in answer.kernel_command_line
    assert answer.boot_id == deployed["node-1"]["boot_id"] != deployed["node-1"]["deployment_boot_id"]
    assert "chain.c32" in fetched(scenario)


def test_a_machine_whose_uuid_is_known_finds_its_file_at_the_first_name_that_it_asks_for(
    scenario: Scenario, deployed: dict[str, dict[str, Any]]
) -> None:
    assert deployed["node-1"]["state"] == "deployed"
    log = fetched(scenario)
    # The UUID as it lies in memory: its operating system says 6b61646c-6162-4b61-…
    assert "pxelinux.cfg/6c64616b-6261-614b-8000-5254004b0001" in log
    assert "pxelinux.cfg/01-52-54-00-4b-00-01" not in log


def test_a_uefi_machine_boots_both_systems_by_grub(scenario: Scenario, deployed: dict[str, dict[str, Any]]) -> None:
    answer = answer_of(scenario, deployed["node-2"])
    assert (answer.root_device, answer.host_name) == ("/dev/vda3", "node-2")
    assert "PXEClient/images_grub/sha256-" in answer.kernel_command_line
    assert "BOOTIF=01-52-54-00-4b-00-02" in answer.kernel_command_line
    log = fetched(scenario)
    assert "PXEClient/grubx64.efi" in log
    assert "pxelinux.cfg/grub.cfg-01-52-54-00-4b-00-02" in log


def test_no_machine_is_deployed_again_by_its_next_boot(scenario: Scenario, deployed: dict[str, dict[str, Any]]) -> None:
    assert len(deployed) == len(scenario.lab.nodes)
    with open_channel(scenario.site.addresses["bootctl"], caller="user:root") as channel:
        stub = bootctl_service_pb2_grpc.BootServiceStub(channel)
        found = stub.ListBootEntries(bootctl_service_pb2.ListBootEntriesRequest(), timeout=30).entries
    # The new system, and not the deployment environment that stood there before.
    assert {entry.node.name: entry.target.WhichOneof("kind") for entry in found} == {
        "node-1": "chainload",
        "node-2": "network",
    }


@pytest.fixture(scope="module")
def from_production(scenario: Scenario, deployed: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What became of a second deployment, made from the system that runs since the first one."""
    begin = fetched(scenario)
    assert deploy(scenario, ("-e", "plain", "-m", "node-1", "-p", "vda2", "-u", "--boot-method", "grub")) == [0]
    # It never left that system for the deployment environment.
    assert "deploy-vmlinuz" not in fetched(scenario)[len(begin) :]
    told = told_of(scenario, "node-1")
    assert told["deployment_boot_id"] == deployed["node-1"]["boot_id"]
    return told


def test_a_raw_image_is_deployed_from_the_running_system_and_grub_boots_it_from_the_disk(
    scenario: Scenario, from_production: dict[str, Any]
) -> None:
    answer = answer_of(scenario, from_production)
    assert (answer.root_device, answer.host_name) == ("/dev/vda2", "node-1")
    # The kernel that GRUB read from the disk, not one that came over the network.
    assert "BOOT_IMAGE=(hd0,2)/boot/vmlinuz" in answer.kernel_command_line
    assert "kadeploy.token=" in answer.kernel_command_line
    assert answer.boot_id == from_production["boot_id"]
    assert ".lkrn" in fetched(scenario)


@pytest.fixture(scope="module")
def rebooted(
    scenario: Scenario, deployed: dict[str, dict[str, Any]], from_production: dict[str, Any]
) -> tuple[str, NodeAnswer]:
    """What kareboot said, and the node that runs what was deployed first again."""
    assert from_production["state"] == "deployed"
    said = scenario.user.run("kareboot", "-e", "raw", "--soft", "-m", "node-1")
    return said, answer_of(scenario, deployed["node-1"])


def test_kareboot_brings_an_earlier_environment_back_by_its_own_loader(
    deployed: dict[str, dict[str, Any]], rebooted: tuple[str, NodeAnswer]
) -> None:
    said, answer = rebooted
    assert "node-1" in said
    assert answer.root_device == "/dev/vda3"
    assert "own.loader=1" in answer.kernel_command_line
    assert answer.boot_id != deployed["node-1"]["boot_id"]


def test_a_machine_without_an_entry_boots_from_its_disk(
    scenario: Scenario, deployed: dict[str, dict[str, Any]], rebooted: tuple[str, NodeAnswer]
) -> None:
    node = scenario.lab.node("node-1")
    scenario.user.run("kapower", "--off", "-m", "node-1")
    assert not scenario.lab.has_power(node)
    with open_channel(scenario.site.addresses["bootctl"], caller="user:root") as channel:
        stub = bootctl_service_pb2_grpc.BootServiceStub(channel)
        cleared = stub.ClearBootEntries(bootctl_service_pb2.ClearBootEntriesRequest(nodes="node-1"), timeout=30).results
    assert [result.status.code for result in cleared] == [0]
    write_boot_code(node.disk)
    asked, console = fetched(scenario), node.serial_log.read_text(errors="replace")
    scenario.user.run("kapower", "--on", "-m", "node-1")
    deadline = time.monotonic() + SECONDS
    while BOOTED_FROM_PARTITION_3 not in node.serial_log.read_text(errors="replace")[len(console) :]:
        assert time.monotonic() < deadline, node.serial_log.read_text(errors="replace")[-2000:]
        time.sleep(0.5)
    assert "pxelinux.cfg/default" in fetched(scenario)[len(asked) :]
    answer = answer_in_time(scenario, deployed["node-1"])
    assert answer.boot_id != rebooted[1].boot_id
    assert (answer.root_device, "own.loader=1" in answer.kernel_command_line) == ("/dev/vda3", True)


def write_boot_code(disk: Path) -> None:
    """Lets a disk boot its third partition, as the installer of a site's own system does."""
    with disk.open("r+b") as file:
        file.write(MBR.read_bytes())
        file.seek(446 + 2 * 16)
        file.write(b"\x80")
