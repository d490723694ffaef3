"""The systemd units: sandboxed, and with the very paths that the samples of the settings name."""

import shutil
import subprocess
from pathlib import Path

import pytest

from kadeploy_bootctl import bootstrap
from kadeploy_bootctl.settings import Settings

SERVICES = Path(__file__).parents[2] / "services"
UNITS = sorted([*SERVICES.glob("*/systemd/*.service"), *SERVICES.parent.glob("clients/**/systemd/*.service")], key=str)
# Of 10, in tenths; systemd calls all below 2 "OK" and a plain service, with 9.6, "UNSAFE".
MOST_EXPOSED = "15"


def values(unit: Path, key: str) -> list[str]:
    lines = unit.read_text(encoding="ascii").splitlines()
    return [word for line in lines if line.startswith(f"{key}=") for word in line.partition("=")[2].split()]


def test_each_service_has_a_unit() -> None:
    programs = ["kadeploy-bootctl", "kadeploy-deployer", "kadeploy-inventory", "kadeploy-login-agent", "kadeploy-web"]
    assert sorted(unit.stem for unit in UNITS) == programs


def test_the_agent_sees_who_calls() -> None:
    # In a user namespace of its own, every caller would be nobody.
    (agent,) = (unit for unit in UNITS if unit.stem == "kadeploy-login-agent")
    assert values(agent, "PrivateUsers") == []


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_is_not_root_and_writes_nothing_but_its_own(unit: Path) -> None:
    assert values(unit, "User") != ["root"]
    assert values(unit, "ProtectSystem") == ["strict"]
    assert values(unit, "CapabilityBoundingSet") == []
    assert values(unit, "NoNewPrivileges") == ["yes"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_finds_a_unit_little_exposed(unit: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    command = [program, "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr


def test_bootctl_may_write_the_directories_of_its_layout() -> None:
    layout = bootstrap.layout_of(Settings.load(SERVICES / "bootctl" / "bootctl.toml.sample"))
    unit = SERVICES / "bootctl" / "systemd" / "kadeploy-bootctl.service"
    assert set(values(unit, "ReadWritePaths")) == {f"{layout.root}/{path}" for path in layout.public_directories}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_what_a_unit_writes_is_closed_to_others(unit: Path) -> None:
    (umask,) = values(unit, "UMask")
    assert int(umask, 8) & 0o027 == 0o027
    for kind in ("StateDirectory", "CacheDirectory", "LogsDirectory"):
        if values(unit, kind):
            assert values(unit, f"{kind}Mode") == ["0750"]
