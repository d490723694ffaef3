"""lab/setup-host on a Debian of scripts: installs what is missing, says what it cannot."""

import subprocess
from pathlib import Path

import pytest

SETUP_HOST = Path(__file__).parents[3] / "lab" / "setup-host"


class FakeDebian:
    """A host whose dpkg-query, apt-get and sudo are scripts that note how they were called."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._bin = home / "bin"
        self._bin.mkdir()
        self.list = home / "packages.txt"
        self.list.write_text("# a comment\nzstd   # compresses\n\ncpio  # packs\n")
        self.install("sudo", 'test "$1" = --validate || exec "$@"')
        self.install("dpkg-query", f'grep -qx "$3" {home}/installed && printf installed')
        self.install("apt-get", f'echo "$@" >> {home}/apt.log')
        self.installed()

    def install(self, program: str, script: str) -> None:
        path = self._bin / program
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def installed(self, *packages: str) -> None:
        (self._home / "installed").write_text("".join(f"{package}\n" for package in packages))

    @property
    def apt_calls(self) -> list[str]:
        log = self._home / "apt.log"
        return log.read_text().splitlines() if log.exists() else []

    def set_up(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", str(SETUP_HOST), str(self.list)],
            env={"PATH": f"{self._bin}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )


@pytest.fixture
def host(tmp_path: Path) -> FakeDebian:
    return FakeDebian(tmp_path)


def test_a_host_that_has_everything_is_left_alone(host: FakeDebian) -> None:
    host.installed("zstd", "cpio")

    done = host.set_up()

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert host.apt_calls == []


def test_only_what_is_missing_is_installed(host: FakeDebian) -> None:
    host.installed("zstd")

    done = host.set_up()

    assert done.returncode == 0, done.stderr
    options = "--quiet --quiet -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0"
    assert host.apt_calls == [
        f"{options} update",
        f"{options} install --yes --no-install-recommends cpio",
    ]


def test_a_package_that_cannot_be_installed_is_named(host: FakeDebian) -> None:
    host.install("apt-get", 'case "$*" in *install*) exit 100 ;; esac')

    done = host.set_up()

    assert done.returncode == 1
    assert "setup-host: apt-get could not install zstd cpio" in done.stderr


def test_a_host_without_network_is_told_so(host: FakeDebian) -> None:
    host.install("apt-get", "exit 100")

    done = host.set_up()

    assert done.returncode == 1
    assert "setup-host: apt-get update failed" in done.stderr


def test_a_missing_list_is_one_sentence(host: FakeDebian) -> None:
    host.list.unlink()

    done = host.set_up()

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
