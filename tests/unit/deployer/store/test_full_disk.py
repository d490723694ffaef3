"""A disk that runs full while the deployer deploys: refused as such, and what runs can end."""

import os
import sys
from pathlib import Path

import pytest

from tests.fakes.small_disk import may_mount, on_small_disk

pytestmark = [pytest.mark.integration, pytest.mark.skipif(not may_mount(), reason="needs a real root")]


def test_a_deployment_ends_on_a_full_disk_and_the_next_one_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    command = [sys.executable, "-m", "tests.fakes.deployer_on_full_disk", str(directory)]
    with on_small_disk(command, directory, size=2 << 20) as disk:
        said, _ = disk.process.communicate(timeout=120)
    assert disk.process.returncode == 0, said
    assert said.splitlines()[-1] == "ok"
    assert os.listdir(directory) == []  # noqa: PTH208 - the disk was the process's own
