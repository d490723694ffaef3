"""Whether KVM works here, or emulation must do."""

import json
import os
from pathlib import Path

import pytest

from kadeploy_lab import accelerator
from kadeploy_lab.accelerator import Accelerator, choose_accelerator
from kadeploy_lab.errors import LabError

WORKS = Accelerator(name="kvm", reason="it boots a machine here")


@pytest.fixture
def device(tmp_path: Path) -> Path:
    device = tmp_path / "kvm"
    device.touch()
    return device


@pytest.mark.parametrize("name", ["kvm", "tcg"])
def test_what_the_user_asks_for_is_taken_without_a_probe(tmp_path: Path, name: str) -> None:
    chosen = choose_accelerator(name, cache=tmp_path / "cache", device=tmp_path / "none")

    assert chosen.name == name


def test_an_unknown_accelerator_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="auto, kvm or tcg"):
        choose_accelerator("xen", cache=tmp_path / "cache")


def test_a_host_without_kvm_emulates(tmp_path: Path) -> None:
    chosen = choose_accelerator("auto", cache=tmp_path / "cache", device=tmp_path / "none")

    assert chosen.name == "tcg"


def test_the_verdict_of_the_probe_is_remembered(tmp_path: Path, device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verdicts = [WORKS]
    monkeypatch.setattr(accelerator, "_probe", verdicts.pop)

    chosen = [choose_accelerator("auto", cache=tmp_path / "cache", device=device) for _ in "ab"]

    assert chosen == [WORKS, WORKS]
    assert verdicts == []


@pytest.mark.parametrize("text", ["", "{}", json.dumps({"name": "tcg", "boot_id": "another"})])
def test_a_verdict_from_before_the_reboot_or_a_broken_one_is_not_believed(
    tmp_path: Path, device: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    cache = tmp_path / "cache"
    cache.write_text(text)
    monkeypatch.setattr(accelerator, "_probe", lambda: WORKS)

    assert choose_accelerator("auto", cache=cache, device=device) == WORKS


@pytest.mark.parametrize(
    ("script", "name", "reason"),
    [
        ("echo 'iPXE initialising devices...ok' > $serial; exec sleep 60", "kvm", "boots"),
        ("exit 134", "tcg", "dies"),
        ("echo SeaBIOS > $serial; exec sleep 60", "tcg", "no firmware starts"),
    ],
)
def test_only_a_firmware_that_comes_up_makes_kvm_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, name: str, reason: str
) -> None:
    qemu = tmp_path / "qemu"
    # The last argument is `file:PATH` of the serial log.
    qemu.write_text(f'#!/bin/sh\nfor serial; do :; done\nserial="${{serial#file:}}"\n{script}\n')
    qemu.chmod(0o755)
    monkeypatch.setattr(accelerator, "find_program", lambda _: os.fspath(qemu))
    monkeypatch.setattr(accelerator, "_PROBE_SECONDS", 1.0)
    device = tmp_path / "kvm"
    device.touch()

    chosen = choose_accelerator("auto", cache=tmp_path / "cache", device=device)

    assert chosen.name == name
    assert reason in chosen.reason
