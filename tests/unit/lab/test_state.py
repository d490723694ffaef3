"""What a lab notes about itself, so that a later run can end it."""

import json
import os
from pathlib import Path

import pytest

from kadeploy_lab import plan
from kadeploy_lab.accelerator import Accelerator
from kadeploy_lab.errors import LabError
from kadeploy_lab.state import LabState, Owner, state_file


def make_state(directory: Path, owner: Owner | None = None) -> LabState:
    return LabState(
        name="demo",
        directory=directory,
        tftp_root=directory / "tftp",
        loaders=plan.LOADERS,
        memory_mib=768,
        disk_gib=8,
        accelerator=Accelerator(name="tcg", reason="there is no /dev/kvm"),
        nodes=plan.plan_nodes("demo", directory, 2),
        owner=owner,
    )


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    state = make_state(tmp_path, owner=Owner(pid=17, started=4711))

    state.write()

    assert LabState.read(tmp_path) == state


def test_a_lab_counts_as_complete_only_when_it_said_so(tmp_path: Path) -> None:
    make_state(tmp_path).write()
    assert not LabState.read(tmp_path).complete

    make_state(tmp_path).completed().write()
    assert LabState.read(tmp_path).complete


def test_a_directory_without_a_lab_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="make lab-up"):
        LabState.read(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": 3, "surprise": 2}'])
def test_a_broken_state_file_is_one_sentence(tmp_path: Path, text: str) -> None:
    state_file(tmp_path).write_text(text)

    with pytest.raises(LabError, match="make lab-down"):
        LabState.read(tmp_path)


def test_a_state_of_another_format_is_refused(tmp_path: Path) -> None:
    make_state(tmp_path).write()
    fields = json.loads(state_file(tmp_path).read_text()) | {"format": 99}
    state_file(tmp_path).write_text(json.dumps(fields))

    with pytest.raises(LabError, match="another version"):
        LabState.read(tmp_path)


def test_an_owner_is_alive_while_its_process_runs() -> None:
    owner = Owner.of(os.getpid())

    assert owner is not None
    assert owner.is_alive


def test_a_later_process_of_the_same_number_is_not_the_owner() -> None:
    owner = Owner.of(os.getpid())
    assert owner is not None

    assert not Owner(pid=owner.pid, started=owner.started - 1).is_alive


def test_a_process_that_is_gone_owns_nothing() -> None:
    assert Owner.of(2**22 + 1) is None  # above the kernel's largest process number
