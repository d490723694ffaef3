"""In what a machine differs from its description."""

from dataclasses import replace
from typing import Any

import pytest

from kadeploy_deployer.domain.disk_match import PresentDisk
from kadeploy_deployer.domain.machine import Machine, NetworkCard, differences, known_disks
from kadeploy_deployer.domain.snapshot import DiskIdentity
from kadeploy_deployer.domain.vocabulary import Firmware
from tests.fakes.snapshots import DISK, GIB, a_node

CARD = NetworkCard(name="eth1", mac_address="52:54:00:00:00:01", driver="igb", is_boot_card=True)
OTHER = NetworkCard(name="eth0", mac_address="52:54:00:00:01:01", driver="igb")
MACHINE = Machine(
    address="10.0.0.1",
    uuid="b8945908-d6a6-41a9-611d-74a6ab80b83d",
    firmware="bios",
    cards=(OTHER, CARD),
    disks=(PresentDisk(name="vda", size_bytes=4 * GIB, serial="S1"),),
)


def test_a_machine_as_described_differs_in_nothing() -> None:
    assert differences(MACHINE, a_node()) == ()
    assert known_disks(MACHINE, a_node()) == {"vda": "vda"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"mac_address": "52:54:00:00:00:09"},
            "no card has the MAC address 52:54:00:00:00:09; there are 52:54",
        ),
        ({"mac_address": OTHER.mac_address}, "it boots from the card 52:54:00:00:00:01, and the inventory says 52:54"),
        ({"firmware": Firmware.UEFI}, "its firmware is bios, and the inventory says uefi"),
        ({"uuid": "0" * 8}, f"its UUID is {MACHINE.uuid}, and the inventory says 00000000"),
        ({"disks": (replace(DISK, size_bytes=8 * GIB),)}, "disk vda has 4.0 GiB, and the inventory says 8.0 GiB"),
        ({"disks": ()}, "the disk vda (4.0 GiB) is not in the inventory"),
        (
            {"disks": (replace(DISK, identity=DiskIdentity(serial="S9")),)},
            "disk vda: no disk here has the serial number S9; there is vda (4.0 GiB, serial S1)",
        ),
    ],
)
def test_each_difference_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    assert differences(MACHINE, a_node(**changes))[0].startswith(sentence)


def test_disks_are_known_by_their_identity_whatever_they_are_called_today() -> None:
    node = a_node(disks=(replace(DISK, device="sda", identity=DiskIdentity(serial="s1")),))
    assert known_disks(MACHINE, node) == {"vda": "sda"}
    stick = PresentDisk(name="sdb", size_bytes=GIB, removable=True)
    assert differences(replace(MACHINE, disks=(*MACHINE.disks, stick)), node) == ()
