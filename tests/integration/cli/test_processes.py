"""The entry points as processes of their own: what a user's shell sees."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kadeploy_cli.connection.settings import VARIABLE
from tests.fakes.site import Site
from tests.fakes.site_certificates import SiteCertificates

pytestmark = pytest.mark.integration

PATIENCE = 90.0


def start(name: str, *arguments: str, config: str) -> "subprocess.Popen[str]":
    code = f"from kadeploy_cli.__main__ import {name}; {name}()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, VARIABLE: config},
    )


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def test_a_deployment_from_a_shell_ends_with_the_table_and_status_0(site: Site) -> None:
    process = start("kadeploy", "-e", "debian", "-m", "node-1", config=str(site.client_file))
    status, out, err = finish(process)
    assert status == 0, err
    assert "node-1  deployed" in out


def test_sigterm_cancels_the_deployment_and_gives_an_answer(site: Site) -> None:
    site.deployer.hold.clear()
    process = start("kadeploy", "-e", "debian", "-m", "node-1", config=str(site.client_file))
    deadline = time.monotonic() + PATIENCE
    while not site.deployer.watched_from and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    status, out, _ = finish(process)
    assert status == 1
    assert "cancelled in broadcast" in out


def test_a_service_that_is_not_there_is_named_with_its_address(tmp_path: Path) -> None:
    config = tmp_path / "client.toml"
    config.write_text('insecure = true\n[inventory]\naddress = "127.0.0.1:1"\n')
    status, out, err = finish(start("kanodes", "-listnode", config=str(config)))
    assert (status, out) == (3, "")
    assert "kanodes: the inventory service does not answer at 127.0.0.1:1" in err
    assert "kadeploy-inventory runs" in err


def test_a_section_that_is_missing_is_named(tmp_path: Path) -> None:
    config = tmp_path / "client.toml"
    config.write_text('[inventory]\naddress = "127.0.0.1:1"\n')
    status, _, err = finish(start("kadeploy", "-e", "x", "-m", "n", config=str(config)))
    assert status == 2
    assert "does not say where the deployer service answers" in err
    status, _, err = finish(start("kadeploy", "-e", "x", "-m", "n", config=str(tmp_path / "nothing.toml")))
    assert status == 2
    assert "nothing.toml is not there" in err


def shell(line: str, config: Path) -> "subprocess.CompletedProcess[str]":
    """Runs a line of bash in which `ka` and its siblings are this checkout's."""
    programs = Path(sys.executable).parent
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, VARIABLE: str(config), "PATH": f"{programs}:{os.environ['PATH']}"},
    )


COMMANDS = ("ka --help", "kanodes -listnode", "ka environment list -o json", "kaenvironments")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_under_the_output_is_said_and_is_no_mistake_of_the_command(site: Site, command: str) -> None:
    done = shell(f"{command} > /dev/full", site.client_file)
    name = command.split(maxsplit=1)[0]
    assert (done.returncode, done.stderr) == (1, f"{name}: the output cannot be written: No space left on device\n")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("closed", ["| true", ">&-", "2>&-", ">&- 2>&-", "| head -c1 > /dev/null"])
def test_a_reader_who_goes_away_is_no_reason_to_complain(site: Site, command: str, closed: str) -> None:
    done = shell(f"{command} {closed}", site.client_file)
    assert done.stderr == ""


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.1, 0.2, 0.4, 0.8])
def test_ctrl_c_shows_no_traceback_however_early_it_comes(site: Site, seconds: float) -> None:
    site.deployer.hold.clear()
    # bash would let children in the background ignore it.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from kadeploy_cli.__main__ import kanodes\n"
        "print('ready', flush=True)\n"
        "kanodes()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, "-listnode"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, VARIABLE: str(site.client_file)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in err
    assert process.returncode in (0, 1, 130, -signal.SIGINT)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe\x00", "not UTF-8 text"),
        (b"user = ", "is not a TOML file"),
        (b"[inventory]\naddress = 3\n", "address must be"),
        (b'user = "a"\n' * 200_000, "too long"),
    ],
)
def test_damaged_settings_are_refused_in_one_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    config = tmp_path / "client.toml"
    config.write_bytes(content)
    done = shell("kanodes -listnode", config)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "unexpected" not in done.stderr


@pytest.mark.parametrize("name", ["certificate", "private_key", "ca"])
@pytest.mark.parametrize(
    "content", [b"", b"garbage\xff\x00", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_damaged_certificates_are_refused_in_one_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    authority = SiteCertificates(tmp_path / "pki")
    files = authority.issue("user", "alice")
    paths = {key: Path(getattr(files, key)) for key in ("certificate", "private_key", "ca")}
    paths[name].chmod(0o600)
    paths[name].write_bytes(content)
    config = tmp_path / "client.toml"
    lines = ["[inventory]", 'address = "127.0.0.1:1"', "[tls]", *(f'{key} = "{path}"' for key, path in paths.items())]
    config.write_text("\n".join(lines) + "\n")
    done = shell("kanodes -listnode", config)
    assert done.returncode in (1, 2, 3)
    assert str(paths[name]) in done.stderr
    assert "unexpected" not in done.stderr
    assert "Traceback" not in done.stderr
