"""Whole deployments on machines of other parts than virtio's, with the profile for real hardware.

Each pair is one deployment of two machines of the same parts: one with a BIOS and one with UEFI.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

from kadeploy_demo.scenario import partition
from kadeploy_lab.hardware import Hardware
from tests.real_site import HARDWARE, real_site

pytestmark = pytest.mark.hardware


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a pair of machines is built of, and the target's disk."""

    hardware: Hardware
    device: str


PAIRS = {
    "e1000e and AHCI": Parts(hardware=Hardware(cards=("e1000e",), controller="ahci"), device="sda"),
    "the second of two cards, and megasas": Parts(
        hardware=Hardware(cards=("e1000e", "e1000"), boot_card=1, controller="megasas-gen2", machine="q35"),
        device="sda",
    ),
    "vmxnet3 and the second of two NVMe disks": Parts(
        hardware=Hardware(cards=("vmxnet3",), controller="nvme", disks=2), device="nvme1n1"
    ),
    "rtl8139 and lsi53c895a": Parts(hardware=Hardware(cards=("rtl8139",), controller="lsi53c895a"), device="sda"),
}


@pytest.mark.parametrize("name", PAIRS)
def test_two_machines_of_one_kind_are_deployed(name: str, tmp_path: Path) -> None:
    parts = PAIRS[name]
    with real_site(
        "hardware",
        tmp_path,
        build=HARDWARE,
        firmware={"node-2": "uefi"},
        hardware={"node-1": parts.hardware, "node-2": parts.hardware},
        device=parts.device,
    ) as scenario:
        status = scenario.deploy()
        report = scenario.verify()
        consoles = {node.name: node.serial_log.read_text(errors="replace") for node in scenario.lab.nodes}
        untouched = [disk.stat().st_blocks for node in scenario.lab.nodes for disk in node.disks[:-1]]
    assert [(node.name, node.problem) for node in report.nodes] == [("node-1", ""), ("node-2", "")], consoles
    assert (status, report.succeeded) == (0, True)
    assert {node.root_device for node in report.nodes} == {f"/dev/{partition(parts.device, 3)}"}
    assert untouched == [0] * len(untouched)
