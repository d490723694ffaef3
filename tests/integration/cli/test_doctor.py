"""`ka doctor` on a real site: three processes over mutual TLS, each thing broken in turn."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tls_site import TlsSite, tls_site

pytestmark = pytest.mark.integration

PATIENCE = 60.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsSite]:
    with tls_site(tmp_path_factory.mktemp("doctor")) as site:
        yield site


def doctor(site: TlsSite, user: str = "root") -> tuple[int, dict[str, dict[str, Any]]]:
    """Returns the exit status and the findings, by subject."""
    files = site.files(user)
    lines = [f'[{name}]\naddress = "{address}"' for name, address in site.addresses.items()]
    lines.append(
        f'[tls]\ncertificate = "{files.certificate}"\nprivate_key = "{files.private_key}"\nca = "{files.ca}"\n'
    )
    settings = site.directory / f"client-{user}.toml"
    settings.write_text("\n".join(lines))
    ended = subprocess.run(
        [str(Path(sys.executable).with_name("ka")), "doctor", "-o", "json", "--tftp-port", "1"],
        env={**os.environ, "KADEPLOY_CONFIG": str(settings)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended.returncode, {each["subject"]: each for each in json.loads(ended.stdout)}


def states(found: dict[str, dict[str, Any]], *subjects: str) -> list[str]:
    return [found[subject]["state"] for subject in subjects]


def test_what_is_well_is_said_line_by_line(site: TlsSite) -> None:
    _, found = doctor(site)
    assert set(states(found, "inventory", "deployer", "bootctl")) == {"good"}
    assert set(states(found, *(f"clock of {name}" for name in site.addresses))) == {"good"}
    databases = (
        "database deploy of inventory",
        "database deploy_right of inventory",
        "database deploy_state of deployer",
    )
    assert set(states(found, *databases, "TFTP tree of bootctl")) == {"good"}
    assert states(found, "ssh key of the cluster", "key of the deployment environment")[0] in ("good", "bad")
    # They are issued for a day.
    assert states(found, "certificate of deployer", "your certificate") == ["warning", "warning"]


def test_a_label_that_is_not_installed_is_named_and_then_nobody_answers_by_tftp(site: TlsSite) -> None:
    status, found = doctor(site)
    assert status == 1
    label = found["label deploy"]
    assert label["state"] == "bad"
    assert "label install" in label["advice"]
    kernel = site.directory / "kernel"
    kernel.write_bytes(b"a kernel")
    install = ["label", "install", "deploy", "--kernel", str(kernel), "--initrd", str(kernel)]
    program = str(Path(sys.executable).with_name("kadeploy-bootctl"))
    subprocess.run([program, *install, "--config", str(site.directory / "bootctl.toml")], check=True, timeout=PATIENCE)
    status, found = doctor(site)
    assert status == 1
    assert found["TFTP PXEClient/pxelinux.0"]["text"] == "no answer from 127.0.0.1 port 1"
    assert found["TFTP PXEClient/images_grub/deploy-vmlinuz"]["state"] == "skipped"


def test_a_boot_file_that_is_gone_is_named(site: TlsSite) -> None:
    (loader,) = site.directory.glob("**/PXEClient/pxelinux.0")
    moved = loader.rename(loader.with_name("away"))
    try:
        status, found = doctor(site)
    finally:
        moved.rename(loader)
    assert status == 1
    assert found["boot file PXEClient/pxelinux.0"]["state"] == "bad"


def test_a_table_that_is_gone_is_named_within_seconds(site: TlsSite) -> None:
    with sqlite3.connect(site.directory / "deploy_right.db") as database:
        (name,) = database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'right%'"
        ).fetchone()
        database.execute(f"ALTER TABLE {name} RENAME TO elsewhere")
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            status, found = doctor(site)
            if found["database deploy_right of inventory"]["state"] == "bad" or time.monotonic() > deadline:
                break
    finally:
        with sqlite3.connect(site.directory / "deploy_right.db") as database:
            database.execute(f"ALTER TABLE elsewhere RENAME TO {name}")
    assert status == 1
    assert name in found["database deploy_right of inventory"]["text"]
    assert "db upgrade" in found["database deploy_right of inventory"]["advice"]


def test_users_see_what_they_may_not_ask_as_bad_with_advice(site: TlsSite) -> None:
    status, found = doctor(site, "alice")
    assert status == 1
    refused = found["deployer's host"]
    assert refused["state"] == "bad"
    assert "for administrators" in refused["advice"]


def test_a_service_that_is_away_is_seen_from_here_and_from_the_deployer(site: TlsSite) -> None:
    process = site.processes["bootctl"]
    process.terminate()
    process.wait(PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while True:
        status, found = doctor(site)
        if found["bootctl as the deployer reaches it"]["state"] == "bad" or time.monotonic() > deadline:
            break
    assert status == 1
    assert found["bootctl"]["state"] == "bad"
    assert "kadeploy-bootctl runs" in found["bootctl"]["advice"]
    assert "bootctl_address in deployer.toml" in found["bootctl as the deployer reaches it"]["advice"]
