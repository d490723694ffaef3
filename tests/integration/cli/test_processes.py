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
