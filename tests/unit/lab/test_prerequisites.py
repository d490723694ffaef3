"""What a lab needs of its host, told before it begins."""

import re
from pathlib import Path

import pytest

from kadeploy_lab import prerequisites
from kadeploy_lab.errors import LabError

PACKAGES = Path(__file__).parents[3] / "lab" / "packages.txt"
ESSENTIAL = {"util-linux", "mount"}  # on every Debian system


def test_an_ordinary_user_is_told_to_use_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    with pytest.raises(LabError, match="sudo"):
        prerequisites.check_root()


def test_missing_programs_are_named_by_their_packages(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"dnsmasq-base, .*tftpd-hpa.* run lab/setup-host"):
        prerequisites.check_programs(search_path=str(tmp_path))


def test_a_missing_tun_device_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="modprobe tun"):
        prerequisites.check_tun(tmp_path / "tun")


def test_too_little_disk_space_says_how_much_is_needed(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"about 1000000000 MiB"):
        prerequisites.check_space(tmp_path / "not" / "yet", needed_mib=10**9)


def test_too_little_memory_says_how_much_there_is(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 4096000 kB\nMemAvailable:    1024000 kB\n")

    prerequisites.check_memory(meminfo, needed_mib=1000)
    with pytest.raises(LabError, match="only 1000 MiB are available"):
        prerequisites.check_memory(meminfo, needed_mib=1001)


def test_every_package_that_the_lab_asks_for_is_in_the_list() -> None:
    listed = set(re.findall(r"^([a-z0-9.+-]+)", PACKAGES.read_text(), flags=re.MULTILINE))
    asked = {*prerequisites.PROGRAMS.values(), *prerequisites.FIRMWARE.values()}

    assert asked - ESSENTIAL <= listed


def test_every_listed_package_says_why_it_is_there() -> None:
    lines = [line for line in PACKAGES.read_text().splitlines() if line and line[0] != "#"]

    assert [line for line in lines if not re.fullmatch(r"[a-z0-9.+-]+ +# \S.*", line)] == []
