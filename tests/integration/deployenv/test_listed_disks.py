"""The program of the deployment environment that lists disks, on this machine's lsblk and loop devices."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kadeploy_deployenv.system import NODE_PACKAGES, node_program
from kadeploy_deployer.domain.disk_match import NoSuchDisk, find_disk
from kadeploy_deployer.domain.snapshot import DiskIdentity
from kadeploy_deployer.steps.find_disk import read_disks
from kahardware.disks import links
from kahardware.disks import read_disks as kept
from kahardware.machine import machine

MIB = 1 << 20
pytestmark = pytest.mark.integration
HARDWARE = (sys.executable, "-c", node_program("kadeploy-hardware", str(NODE_PACKAGES["kadeploy-hardware"][1].parent)))


@pytest.fixture
def loops(tmp_path: Path) -> Iterator[list[str]]:
    """Two disks of 64 and 96 MiB."""
    if os.geteuid() != 0:
        pytest.skip("loop devices need root")
    made = []
    try:
        for number, size in enumerate((64, 96)):
            image = tmp_path / f"disk{number}"
            with image.open("wb") as file:
                file.truncate(size * MIB)
            done = subprocess.run(
                ["losetup", "-f", "--show", image], check=False, capture_output=True, text=True, timeout=30
            )
            if done.returncode:
                pytest.skip(f"this machine has no loop devices: {done.stderr.strip()}")
            made.append(done.stdout.strip())
        yield made
    finally:
        for device in made:
            subprocess.run(["losetup", "--detach", device], check=False, timeout=30)


def test_the_disks_of_this_machine_are_told_apart(loops: list[str]) -> None:
    done = subprocess.run([*HARDWARE, "disks"], capture_output=True, text=True, check=True, timeout=60)
    present = read_disks(done.stdout)
    small, large = (device.removeprefix("/dev/") for device in loops)
    assert {(disk.name, disk.size_bytes) for disk in present} >= {(small, 64 * MIB), (large, 96 * MIB)}
    ours = [disk for disk in present if disk.name in {small, large}]
    assert find_disk("sda", DiskIdentity(size_bytes=96 * MIB), ours).name == large
    assert find_disk(small, DiskIdentity(), present).name == small
    with pytest.raises(NoSuchDisk, match=rf"there are {small} \(64.0 MiB\); {large} \(96.0 MiB\)"):
        find_disk("sda", DiskIdentity(size_bytes=80 * MIB), ours)


def test_links_lead_to_disks(tmp_path: Path) -> None:
    for kind, name in (("by-id", "wwn-0x5000"), ("by-id", "ata-X"), ("by-path", "pci-0000:00:04.0")):
        (tmp_path / kind).mkdir(exist_ok=True)
        (tmp_path / kind / name).symlink_to("/dev/sdz")
    found = links(str(tmp_path))
    assert sorted(found["sdz"]) == ["by-id/ata-X", "by-id/wwn-0x5000", "by-path/pci-0000:00:04.0"]
    (disk,) = kept({"blockdevices": [{"path": "/dev/sdz", "type": "disk", "size": 10, "serial": " S1 "}]}, found)
    assert (disk["serial"], len(disk["links"])) == ("S1", 3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "device",
    [
        {"path": "/dev/sr0", "type": "rom", "size": 100},
        {"path": "/dev/sda", "type": "disk", "size": 0},
        {"path": "/dev/sda1", "type": "part", "size": 100},
        {"path": "/dev/zram0", "type": "disk", "size": 100},
    ],
)
def test_what_is_no_disk_is_left_out(device: dict[str, object]) -> None:
    assert kept({"blockdevices": [device]}, {}) == []


def test_a_disk_with_two_paths_to_its_map_is_listed_once() -> None:
    mapped = {"path": "/dev/mapper/mpatha", "type": "mpath", "size": 100}
    listed = kept({"blockdevices": [{"path": "/dev/sda", "type": "disk", "size": 100}, mapped, mapped]}, {})
    assert [disk["name"] for disk in listed] == ["sda", "mapper/mpatha"]


def test_this_machine_says_what_it_is_made_of() -> None:
    done = subprocess.run([*HARDWARE, "machine"], capture_output=True, text=True, check=True, timeout=90)
    found = json.loads(done.stdout)
    assert found["processors"] == os.cpu_count()
    assert found["memory_bytes"] > 256 * MIB
    assert found["firmware"] in {"bios", "uefi"}
    assert found["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_a_machine_is_read_from_its_file_systems(tmp_path: Path) -> None:
    card = tmp_path / "sys/devices/pci0000:00/0000:03:00.0"
    (card / "net/eth1").mkdir(parents=True)
    (card / "net/eth1/address").write_text("52:54:00:AB:00:01\n")
    (card / "net/eth1/device").symlink_to(card)
    (tmp_path / "drivers/igb").mkdir(parents=True)
    (card / "driver").symlink_to(tmp_path / "drivers/igb")
    (tmp_path / "sys/class/net").mkdir(parents=True)
    (tmp_path / "sys/class/net/eth1").symlink_to(card / "net/eth1")
    (tmp_path / "sys/class/net/lo").mkdir()
    (tmp_path / "sys/firmware/efi").mkdir(parents=True)
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/route").write_text("Iface\tDestination\neth1\t00000000\t0101A8C0\n")
    (tmp_path / "proc/cmdline").write_text("quiet console=tty0 console=ttyS1,115200 kadeploy.node=node-7\n")
    found = machine(str(tmp_path))
    assert (found["firmware"], found["console"], found["node"]) == ("uefi", "ttyS1,115200", "node-7")
    assert found["cards"] == [
        {
            "name": "eth1",
            "mac_address": "52:54:00:ab:00:01",
            "driver": "igb",
            "path": "0000:03:00.0",
            "is_boot_card": True,
        }
    ]


@pytest.mark.parametrize("words", [[], ["all"], ["disks", "more"]])
def test_other_words_are_refused(words: list[str]) -> None:
    done = subprocess.run([*HARDWARE, *words], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (2, "usage: kadeploy-hardware disks|machine\n")


def test_a_system_without_lsblk_is_as_one_without_the_program(tmp_path: Path) -> None:
    done = subprocess.run(
        [*HARDWARE, "disks"], check=False, capture_output=True, text=True, timeout=60, env={"PATH": str(tmp_path)}
    )
    assert (done.returncode, "lsblk" in done.stderr) == (127, True)
