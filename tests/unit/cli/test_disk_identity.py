"""How descriptions name disks."""

import re

import pytest

from kadeploy.inventory.v1 import node_pb2
from kadeploy_cli.deployments.spec import target
from kadeploy_cli.descriptions import cluster_files, disk_layout, nodes_file, nodes_yaml
from kadeploy_cli.descriptions.text import DescriptionFailure

LINK = "by-path/pci-0000:17:00.0-scsi-0:0:0:0"
Identity = node_pb2.DiskIdentity
DEVICES = [
    ("sda", "sda", None),
    ("/dev/nvme0n1", "nvme0n1", None),
    (f"disk/{LINK}", "sda", Identity(link=LINK)),
    ("/dev/disk/by-id/wwn-0x5000c500a1b2c3d4", "sda", Identity(link="by-id/wwn-0x5000c500a1b2c3d4")),
    ("mapper/mpatha", "mpatha", Identity(kernel_name="mapper/mpatha")),
    ("/dev/mapper/Old-Array", "sda", Identity(kernel_name="mapper/Old-Array")),
    ("cciss/c0d0", "c0d0", Identity(kernel_name="cciss/c0d0")),
]


def in_yaml(disk: str) -> list[node_pb2.Disk]:
    return nodes_yaml.parse_disks(f"disks:\n{disk}", "f")


@pytest.mark.parametrize(("device", "name", "identity"), DEVICES)
def test_every_description_takes_every_name_of_a_device(device: str, name: str, identity: Identity | None) -> None:
    classic = nodes_file.parse(f"n1 02:00:00:00:00:01 10.0.0.1\n\\#\n{device} 480000\n3 20000 empty\n", "f")
    built, _ = disk_layout.disk(classic, "f", gpt=False)
    older = cluster_files.parse_disk(f"block_device={device} size=480000\npart=3 size=20000 label=empty\n", "f").disk
    (newer,) = in_yaml(f"  - {{device: '{device}', size: 480000, partitions: [{{number: 3, size: 20000}}]}}\n")
    for disk in (built, older, newer):
        assert (disk.device, disk.HasField("identity")) == (name, identity is not None)
        assert disk.identity == (identity or Identity())


def test_yaml_says_more_of_a_disk() -> None:
    text = (
        "  - {device: sda, size: 400 GiB, match: {serial: S3Z9, wwn: 0x5000c500a1b2c3d4, size: 480103981056 B}}\n"
        f"  - {{size: 1 TiB, match: {{link: /dev/disk/{LINK}, kernel: cciss/c0d1}}}}\n"
    )
    first, second = in_yaml(text)
    wwn = "0x5000c500a1b2c3d4"
    assert (first.device, first.identity) == ("sda", Identity(serial="S3Z9", wwn=wwn, size_bytes=480103981056))
    assert (second.device, second.identity) == ("sdb", Identity(link=LINK, kernel_name="cciss/c0d1"))


@pytest.mark.parametrize(
    ("disk", "sentence"),
    [
        ("  - {size: 1 GiB}\n", "device is missing: a disk has device or match, size and partitions"),
        ("  - {size: 1 GiB, match: {}}\n", "at least one of serial, wwn, link, kernel, size is expected"),
        ("  - {size: 1 GiB, match: {link: sda}}\n", "a link is expected, such as by-path/"),
        (
            "  - {size: 1 GiB, match: {kernel: ../sda}}\n",
            "a device is expected, such as sda, not '../sda' (cciss/c0d0 and mapper/mpatha are others)",
        ),
        ("  - {size: 1 GiB, device: disk/by-path/../../sda}\n", "a device is expected, such as sda"),
        ("  - {size: 1 GiB, device: cciss/x}\n", "a device is expected, such as sda"),
        ("  - {size: 1 GiB, device: sda}\n  - {size: 1 GiB, device: sda}\n", "sda stands twice"),
    ],
)
def test_what_names_no_disk_is_told(disk: str, sentence: str) -> None:
    with pytest.raises(DescriptionFailure, match=re.escape(sentence)) as failure:
        in_yaml(disk)
    assert "line" in str(failure.value)


@pytest.mark.parametrize(
    ("partition", "device", "expected"),
    [
        ("cciss/c0d0p3", None, ("c0d0", 3)),
        ("/dev/cciss/c0d0p3", "/dev/cciss/c0d0", ("c0d0", 3)),
        ("3", "mapper/mpatha", ("mpatha", 3)),
        ("nvme0n1p3", None, ("nvme0n1", 3)),
    ],
)
def test_targets_are_named_as_the_kernel_names_them(
    partition: str, device: str | None, expected: tuple[str, int]
) -> None:
    assert target(partition, device) == expected
