"""The real sfdisk makes of our scripts what they say."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kadeploy_deployer.domain.snapshot import DiskSnapshot, PartitionSnapshot
from kadeploy_deployer.domain.vocabulary import PartitionTable, PartitionType
from kadeploy_deployer.steps.partition_table import lay_out, sfdisk_script

GIB = 1024**3
SFDISK = shutil.which("sfdisk", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
pytestmark = pytest.mark.integration

PRIMARY = (
    PartitionSnapshot(number=1, size_bytes=GIB, type_id=0x82),
    PartitionSnapshot(number=3, size_bytes=2 * GIB),
)
LOGICAL = (
    *PRIMARY,
    PartitionSnapshot(number=4, size_bytes=3 * GIB, type=PartitionType.EXTENDED),
    PartitionSnapshot(number=5, size_bytes=GIB, type=PartitionType.LOGICAL),
    PartitionSnapshot(number=6, size_bytes=2 * GIB, type=PartitionType.LOGICAL),
)


@pytest.mark.parametrize(
    ("table", "partitions", "disk_bytes"),
    [
        (PartitionTable.MBR, PRIMARY, 4 * GIB),
        (PartitionTable.MBR, PRIMARY, 3 * GIB),
        (PartitionTable.MBR, LOGICAL, 8 * GIB),
        (PartitionTable.GPT, PRIMARY, 3 * GIB),
    ],
)
def test_the_table_is_written_where_it_was_laid_out(
    tmp_path: Path, table: PartitionTable, partitions: tuple[PartitionSnapshot, ...], disk_bytes: int
) -> None:
    disk = DiskSnapshot(device="vda", size_bytes=disk_bytes, partition_table=table, partitions=partitions)
    image = tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(disk_bytes)
    assert SFDISK is not None
    script = sfdisk_script(disk, disk_bytes=disk_bytes)
    command = [SFDISK, "--wipe", "always", "--wipe-partitions", "always", str(image)]
    for _ in range(2):
        subprocess.run(command, input=script, text=True, capture_output=True, check=True, timeout=60)
    dumped = subprocess.run([SFDISK, "--json", str(image)], text=True, capture_output=True, check=True, timeout=60)
    found = json.loads(dumped.stdout)["partitiontable"]
    assert found["label"] == ("gpt" if table == "gpt" else "dos")
    assert [(part["node"][-1], part["start"] * 512, part["size"] * 512) for part in found["partitions"]] == [
        (str(slot.partition.number), slot.start, slot.size) for slot in lay_out(disk, disk_bytes=disk_bytes)
    ]
