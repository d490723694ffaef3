"""Which of a node's disks a disk of the inventory is."""

import pytest

from kadeploy_deployer.domain.disk_match import NoSuchDisk, PresentDisk, find_disk
from kadeploy_deployer.domain.snapshot import DiskIdentity

GB = 1_000_000_000
SYSTEM = PresentDisk(
    name="sdb",
    size_bytes=480 * GB,
    serial="S3Z9NB0K1",
    wwn="0x5002538e4034d5a1",
    links=("by-id/wwn-0x5002538e4034d5a1", "by-path/pci-0000:17:00.0-scsi-0:0:0:0"),
)
DATA = PresentDisk(
    name="sda", size_bytes=480 * GB, serial="S3Z9NB0K2", wwn="0x5002538e4034d5a2", links=("by-path/pci-0000:18:00.0",)
)
NVME = PresentDisk(name="nvme0n1", size_bytes=1600 * GB, serial="PHLN1", wwn="eui.01000000010000005cd2e4")
RAID = PresentDisk(name="cciss/c0d0", size_bytes=146 * GB)
ALL = (DATA, SYSTEM, NVME, RAID)


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        (DiskIdentity(serial="s3z9nb0k1"), "sdb"),
        (DiskIdentity(wwn="5002538E4034D5A2"), "sda"),
        (DiskIdentity(wwn="wwn-0x5002538e4034d5a1"), "sdb"),
        (DiskIdentity(wwn="0x01000000010000005cd2e4"), "nvme0n1"),
        (DiskIdentity(link="by-path/pci-0000:17:00.0-scsi-0:0:0:0"), "sdb"),
        (DiskIdentity(link="by-id/wwn-0x5002538e4034d5a1"), "sdb"),
        (DiskIdentity(size_bytes=1590 * GB), "nvme0n1"),
        (DiskIdentity(kernel_name="cciss/c0d0"), "cciss/c0d0"),
        (DiskIdentity(size_bytes=480 * GB, serial="S3Z9NB0K2"), "sda"),
    ],
)
def test_each_way_to_name_a_disk_finds_it_whatever_the_inventory_calls_it(identity: DiskIdentity, name: str) -> None:
    assert find_disk("sda", identity, ALL).name == name


def test_a_disk_without_an_identity_is_found_by_its_name() -> None:
    assert find_disk("nvme0n1", DiskIdentity(), ALL) == NVME


@pytest.mark.parametrize(
    ("identity", "sentence"),
    [
        (
            DiskIdentity(serial="S3Z9"),
            (
                "no disk here has the serial number S3Z9; there are sda (447.0 GiB, serial S3Z9NB0K2); "
                "sdb (447.0 GiB, serial S3Z9NB0K1)"
            ),
        ),
        (
            DiskIdentity(size_bytes=480 * GB),
            (
                "2 disks here have the size 447.0 GiB: sda, sdb; say more of disk sda in the inventory; "
                "there are sda (447.0 GiB); sdb (447.0 GiB)"
            ),
        ),
        (
            DiskIdentity(kernel_name="sdb", serial="S3Z9NB0K2"),
            "no disk here has the serial number S3Z9NB0K2 and the name sdb; there are sda",
        ),
        (DiskIdentity(link="by-path/pci-0000:19"), "sda (447.0 GiB, by-path/pci-0000:18:00.0)"),
    ],
)
def test_a_disk_that_is_not_there_or_not_one_is_told_with_what_is_there(identity: DiskIdentity, sentence: str) -> None:
    with pytest.raises(NoSuchDisk) as failure:
        find_disk("sda", identity, (DATA, SYSTEM))
    assert sentence in str(failure.value)


def test_a_node_without_disks_is_told() -> None:
    with pytest.raises(NoSuchDisk, match="no disk here has the name sda; there is none at all"):
        find_disk("sda", DiskIdentity(), ())


def test_two_paths_to_one_disk_are_one_disk() -> None:
    paths = (
        PresentDisk(name="sdc", size_bytes=GB, serial="L1", wwn="0x6000"),
        PresentDisk(name="sdd", size_bytes=GB, serial="L1", wwn="0x6000"),
    )
    assert find_disk("sda", DiskIdentity(serial="L1"), paths).name == "sdc"
