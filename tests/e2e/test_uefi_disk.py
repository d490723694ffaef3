"""A machine with UEFI whose installed system puts itself first in the firmware's boot order, and how it is found again.

One lab for all scenarios here, told in order. Its machines fetch their loaders from the second repository, X86PC/linux.
"""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kadeploy_demo.lab_profile import lab_profile
from kadeploy_demo.report import Report
from kadeploy_demo.scenario import CLUSTER, Scenario
from kadeploy_lab.hardware import Hardware
from tests.real_site import HARDWARE, answer_in_time, real_site

pytestmark = pytest.mark.hardware

SECONDS = 400.0
OWN_ORDER = Hardware(own_boot_order=True)
# What grub-install does: a loader on an EFI system partition, and an entry of it before all others.
INSTALL_LOADER = """set -e
mkfs.fat /dev/vda2 >/dev/null
mkdir -p /mnt/esp
mount -t vfat /dev/vda2 /mnt/esp
mkdir -p /mnt/esp/EFI/installed
cp /EFI/BOOT/BOOTX64.EFI /mnt/esp/EFI/installed/grubx64.efi
umount /mnt/esp
modprobe efivarfs
mount -t efivarfs efivarfs /sys/firmware/efi/efivars
efibootmgr --create --disk /dev/vda --part 2 --label installed --loader '\\EFI\\installed\\grubx64.efi'
"""


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    directory = tmp_path_factory.mktemp("uefi-disk")
    with real_site(
        "uefi-disk",
        directory,
        build=HARDWARE,
        firmware={"node-1": "uefi"},
        hardware={"node-1": OWN_ORDER},
        loaders="X86PC/linux",
    ) as scenario:
        yield scenario


@pytest.fixture(scope="module")
def deployed(scenario: Scenario) -> Report:
    """Both machines, deployed over the network."""
    scenario.deploy()
    return scenario.verify()


def console(scenario: Scenario) -> str:
    return scenario.lab.node("node-1").serial_log.read_text(errors="replace").replace("\r", "")


def fetched(scenario: Scenario) -> str:
    """Returns what the TFTP server was asked for since the lab is up."""
    return (scenario.lab.directory / "tftpd.log").read_text(errors="replace")


def told(scenario: Scenario) -> dict[str, Any]:
    """Returns what the last deployment tells of the first machine."""
    newest = scenario.user.read_json("ka", "deployment", "list", "-o", "json")[0]
    shown = scenario.user.read_json("ka", "deployment", "show", newest["id"], "-o", "json")
    return {**next(node for node in shown["nodes"] if node["node"] == "node-1")}


def call(scenario: Scenario, *command: str) -> str:
    """Runs a tool that waits for a machine."""
    return replace(scenario.user, seconds=SECONDS).run(*command)


def run(scenario: Scenario, script: str) -> str:
    """Runs a script on the first machine and returns what it prints."""
    return call(scenario, "karemote", "-m", "node-1", "-c", script).replace("node-1: ", "")


def test_machines_boot_from_the_second_repository(scenario: Scenario, deployed: Report) -> None:
    assert [(node.name, node.problem) for node in deployed.nodes] == [("node-1", ""), ("node-2", "")], console(scenario)
    log = fetched(scenario)
    assert "from 172.31.0.11 filename X86PC/linux/grubx64.efi" in log
    assert "from 172.31.0.12 filename X86PC/linux/linux.0" in log
    assert "filename PXEClient" not in log


def test_the_network_is_put_first_where_the_firmware_had_the_disk_first(scenario: Scenario, deployed: Report) -> None:
    assert deployed.succeeded
    found = re.search(
        r"kadeploy: the network \(Boot(\w{4})\) stands first in the firmware's boot order again; it was ([\w,]+)\n",
        console(scenario),
    )
    assert found is not None, console(scenario)
    assert found[2].split(",")[0] != found[1]


def test_grub_boots_the_system_from_the_disk(scenario: Scenario, deployed: Report) -> None:
    assert deployed.succeeded
    call(scenario, "kareboot", "-m", "node-1", "-p", "vda3", "--boot-method", "grub", "--soft")
    answer = answer_in_time(scenario, told(scenario))
    assert "BOOT_IMAGE=(hd0,3)/boot/vmlinuz" in answer.kernel_command_line
    assert "kadeploy.token=" in answer.kernel_command_line
    assert answer.root_device == "/dev/vda3"


def test_the_system_boots_by_its_own_loader(scenario: Scenario, deployed: Report) -> None:
    assert deployed.succeeded
    call(scenario, "kareboot", "-m", "node-1", "-p", "vda3", "--boot-method", "chainload", "--soft")
    answer = answer_in_time(scenario, told(scenario))
    assert "own.loader=1" in answer.kernel_command_line
    assert "kadeploy.token" not in answer.kernel_command_line
    assert answer.root_device == "/dev/vda3"


@pytest.fixture(scope="module")
def disk_first(scenario: Scenario, deployed: Report) -> str:
    """The boot order after the installed system has put itself first, and the machine has booted by it."""
    assert deployed.succeeded
    order = run(scenario, INSTALL_LOADER)
    seen, asked = console(scenario), fetched(scenario)
    node = scenario.lab.node("node-1")
    reset = scenario.lab.exec_argv(scenario.lab.ipmi_argv(node, ["chassis", "power", "reset"]))
    subprocess.run(reset, check=True, capture_output=True, timeout=60)
    deadline = time.monotonic() + SECONDS
    while "tiny: started as node-1 on /dev/vda3" not in console(scenario)[len(seen) :]:
        assert time.monotonic() < deadline, console(scenario)[len(seen) :]
        time.sleep(0.5)
    # The machine is lost for the network: it asked for nothing.
    assert node.ip not in fetched(scenario)[len(asked) :]
    return order


def test_a_machine_that_boots_from_its_disk_is_brought_back_by_its_bmc(
    scenario: Scenario, disk_first: str, tmp_path: Path
) -> None:
    assert "installed" in disk_first
    network_next = tmp_path / "reset-to-network"
    network_next.write_text("chassis bootdev pxe options=efiboot\nchassis power reset\n")
    profile = json.loads(lab_profile(scenario.lab))
    *words, _chassis, _power, _reset = profile["commands"]["hard_reboot"]
    profile["commands"]["hard_reboot"] = [*words, "exec", str(network_next)]
    profile["reboot_ladder"] = ["hard"]
    path = tmp_path / "profile.yaml"
    path.write_text(json.dumps(profile))
    scenario.administrator.run("ka", "cluster", "update", CLUSTER, "--profile", str(path))
    seen = console(scenario)
    call(scenario, "kadeploy", "-e", "tiny-hardware", "-m", "node-1", "-p", "vda3")
    answer = answer_in_time(scenario, told(scenario))
    assert answer.root_device == "/dev/vda3"
    assert "kadeploy: deployment environment ready" in console(scenario)[len(seen) :]
    # QEMU's firmware writes what the BMC says into its own order, so there was nothing left to repair this time.
    run(scenario, "modprobe efivarfs; mount -t efivarfs efivarfs /sys/firmware/efi/efivars")
    entries = run(scenario, "efibootmgr -v")
    first = entries.split("BootOrder: ")[1].split(",")[0]
    assert "MAC(" in next(line for line in entries.splitlines() if f"Boot{first}" in line)
