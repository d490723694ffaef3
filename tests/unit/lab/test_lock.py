"""One lab at a time."""

from pathlib import Path

import pytest

from kadeploy_lab.errors import LabError
from kadeploy_lab.lock import exclusive


def test_two_processes_do_not_bring_one_lab_up_at_once(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path, "demo"),
        pytest.raises(LabError, match="Another process is bringing the lab 'demo' up or down"),
        exclusive(tmp_path, "demo"),
    ):
        pass


def test_the_lock_is_free_again_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), exclusive(tmp_path, "demo"):
        raise RuntimeError

    with exclusive(tmp_path, "demo"):
        pass
