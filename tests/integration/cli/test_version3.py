"""The commands of version 3 by their names: the same calls, in its words and letters."""

import os
import pty
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy3_cli.deploying import kadeploy3
from kadeploy3_cli.rebooting import kareboot3
from kadeploy3_cli.same_options import kaenv3, kanodes3, karights3
from kadeploy3_cli.switching import kapower3
from kadeploy3_cli.watching_console import kaconsole3
from kadeploy_cli.connection.settings import VARIABLE
from tests.fakes.site import Run, Site

pytestmark = pytest.mark.integration

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPmGGuP8Wm5bkqmzPBKjBqrwkg5bKVRAv5OTlDjsQ7bz user@example"
COMMANDS: dict[str, click.Command] = {
    str(command.name): command for command in (kadeploy3, kareboot3, kapower3, kaconsole3, kaenv3, karights3, kanodes3)
}
PATIENCE = 20.0


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/authorized_keys").write_text(f"{KEY}\n")
    (tmp_path / "nodes").write_text("node-1\nnode-2\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(run: Run, line: str) -> tuple[int, str, str]:
    name, *arguments = shlex.split(line)
    result = run(COMMANDS[name], arguments)
    return result.exit_code, result.stdout, result.stderr


Check = Callable[[Any], bool]


@pytest.mark.parametrize(
    ("line", "check"),
    [
        ("kadeploy3 -V 1 -e NAME -m node-1 -m node-2 -k -o ok", lambda spec: list(spec.authorized_keys) == [KEY]),
        ("kadeploy3 -V4 -e NAME -f nodes", lambda spec: spec.nodes == "node-[1-2]"),
        ("kadeploy3 -e NAME -u OWNER --env-version 3 -m node-1", lambda spec: spec.environment_owner == "OWNER"),
        ("kadeploy3 -e NAME -k -d -f nodes", lambda spec: not spec.use_production_system and not spec.device),
        ("kadeploy3 -e NAME -b /dev/sda -p 3 -m node-1", lambda spec: (spec.device, spec.partition) == ("sda", 3)),
        ("kadeploy3 NAME -b /dev/sda -m node-1", lambda spec: spec.whole_disk and spec.environment_name == "NAME"),
        ("kadeploy3 -e NAME -r ext3 -m node-1", lambda spec: spec.reformat_tmp == "ext3"),
        ("kadeploy3 -e NAME --no-kexec -m node-1", lambda spec: not spec.boot_method),
        ("kadeploy3 -e NAME --disable-disk-partitioning -m node-1", lambda spec: not spec.write_partition_table),
        (
            "kadeploy3 -e NAME --reboot-classical-timeout '(100+n*50)' -m node-[1-2]",
            lambda spec: (spec.first_check_timeout.seconds, spec.last_check_timeout.seconds) == (200, 200),
        ),
        (
            "kadeploy3 -e NAME --no-force --no-hook --secure --wait --disable-bootloader-install -m node-1",
            lambda spec: spec.nodes == "node-1",
        ),
    ],
)
def test_a_deployment_is_what_version_3_would_have_made_of_it(site: Site, run: Run, line: str, check: Check) -> None:
    assert typed(run, line)[0] == 0
    kind = deployer_service_pb2.CreateDeploymentRequest
    (request,) = [one for one in site.deployer.requests if isinstance(one, kind)]
    assert check(request.spec)


def test_kexec_is_left_out_and_has_a_time_of_its_own(site: Site, run: Run) -> None:
    site.deployer.planned_method, site.deployer.planned_step = deployment_pb2.BOOT_METHOD_KEXEC, "partition"
    assert typed(run, "kadeploy3 -e NAME --no-kexec -m node-1")[0] == 0
    assert site.deployer.requests[-1].spec.boot_method == deployment_pb2.BOOT_METHOD_NETWORK
    assert typed(run, "kadeploy3 -e NAME --reboot-kexec-timeout 60+n -m node-1")[0] == 0
    assert site.deployer.requests[-1].spec.last_check_timeout.seconds == 61
    code, _, err = typed(run, "kadeploy3 -e NAME --disable-disk-partitioning -m node-1")
    assert (code, "partition_on_deploy" in err) == (2, True)


def test_level_0_shows_the_result_alone_and_dry_run_touches_nothing(site: Site, run: Run, home: Path) -> None:
    code, out, err = typed(run, "kadeploy3 -V 0 -e NAME -m node-1 --write-workflow-id wid")
    assert (code, "node-1" in out, "boot deployment environment ..." in err) == (0, True, False)
    assert (home / "wid").read_text() == "D-1\n"
    assert "boot deployment environment" in typed(run, "kadeploy3 -V 3 -e NAME -m node-1")[2]
    before = len(site.deployer.deployments)
    assert typed(run, "kadeploy3 -e NAME -m node-1 --dry-run")[0] == 0
    assert typed(run, "kadeploy3 -e NAME -m node-1 --no-wait")[1].startswith("D-")
    assert len(site.deployer.deployments) == before + 1


@pytest.mark.parametrize(
    ("line", "check"),
    [
        ("kareboot3 -m node-1", lambda request: request.WhichOneof("target") == "simple"),
        ("kareboot3 simple -f nodes -l hard", lambda request: request.level == 2),
        ("kareboot3 -r simple -V 0 -l very_hard -m node-1", lambda request: request.level == 3),
        ("kareboot3 -r deploy_env -m node-1", lambda request: request.WhichOneof("target") == "deployment_kernel"),
        ("kareboot3 recorded_env -e NAME -u me -m node-1", lambda request: request.environment.owner == "me"),
        ("kareboot3 recorded_env -p 3 -b /dev/vda -m node-1", lambda request: request.partition.device == "vda"),
        ("kapower3 --off -l very_hard -m node-1", lambda request: request.level == 3),
        ("kapower3 on -V 0 -f nodes", lambda request: request.nodes == "node-[1-2]"),
        ("kapower3 --status -m node-1", lambda request: request.nodes == "node-1"),
    ],
)
def test_nodes_are_rebooted_and_switched_as_version_3_did(site: Site, run: Run, line: str, check: Check) -> None:
    assert typed(run, line)[0] == 0
    (request,) = site.deployer.control.requests
    assert check(request)


def test_a_recorded_environment_is_the_one_on_the_partition(site: Site, run: Run) -> None:
    status = deployer_service_pb2.PartitionStatus(node="node-1", device="sda", partition=3)
    status.environment.name, status.environment.version, status.environment.owner = "debian", 2, "root"
    site.deployer.partitions.append(status)
    assert typed(run, "kareboot3 recorded_env -e debian -p 3 -m node-1")[0] == 0
    (request,) = site.deployer.control.requests
    assert (request.partition.device, request.partition.partition) == ("", 3)
    code, _, err = typed(run, "kareboot3 recorded_env -e centos -p 3 -m node-1")
    assert (code, "stands debian 2 of root, and not centos" in err) == (2, True)
    assert typed(run, "kareboot3 recorded_env -e debian --env-version 1 -p 3 -m node-1")[0] == 2
    code, _, err = typed(run, "kareboot3 recorded_env -e debian -p 3 -m node-[1-2]")
    assert (code, "of node-2 stands nothing deployed" in err) == (2, True)


def test_rescue_lets_the_owners_of_keys_log_in(site: Site, run: Run, home: Path) -> None:
    site.deployer.control.busy = {"node-2"}
    script = home / "after"
    script.write_text('#!/bin/sh\necho "$KADEPLOY_NODES_OK/$KADEPLOY_NODES_KO" >said\n')
    script.chmod(0o755)
    code, out, _ = typed(run, "kareboot3 deploy_env -k -m node-[1-2] -s ./after -o ok -n ko")
    assert code == 6
    rebooted, added = site.deployer.control.requests
    assert rebooted.WhichOneof("target") == "deployment_kernel"
    assert (added.nodes, added.input.decode()) == ("node-1", f"{KEY}\n")
    assert (home / "said").read_text() == "node-1/node-2\n"
    assert ((home / "ok").read_text(), (home / "ko").read_text()) == ("node-1\n", "node-2\n")
    assert "node-1" in out


def test_a_node_that_did_not_take_the_keys_has_failed(site: Site, run: Run) -> None:
    site.deployer.control.exits = {"node-1": 1}
    assert typed(run, "kareboot3 deploy_env -k -m node-[1-2]")[0] == 6


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("kadeploy3 -v -e NAME -m node-1", ["stands alone"]),
        ("kadeploy3 -V 9 -e NAME -m node-1", ["-V"]),
        ("kadeploy3 -e NAME --force -m node-1", ["ka deployment cancel"]),
        ("kadeploy3 -e NAME --hook -m node-1", ["-s FILE"]),
        ("kadeploy3 -e NAME --no-secure -m node-1", ["encrypted"]),
        ("kadeploy3 -e NAME -c 2 -m node-1", ["-p NUMBER"]),
        ("kadeploy3 -e NAME --vlan 4 -m node-1", ["VLAN"]),
        ("kadeploy3 -e NAME --force-steps X -m node-1", ["--reboot-classical-timeout"]),
        ("kadeploy3 -e NAME --reboot-classical-timeout 'exit(1)' -m node-1", ["arithmetic"]),
        ("kadeploy3 -e NAME --multi-server -m node-1", ["--config FILE"]),
        ("kadeploy3 -e NAME -S site -m node-1", ["--config FILE"]),
        ("kareboot3 set_pxe -w f -m node-1", ["ka boot set"]),
        ("kareboot3 set_pxe -m node-1", ["set_pxe"]),
        ("kareboot3 simple -k -m node-1", ["-k goes with -d (deploy_env)"]),
        ("kareboot3 deploy_env -k --no-wait -m node-1", ["--no-wait"]),
        ("kareboot3 recorded_env -m node-1", ["needs -e NAME"]),
        ("kareboot3 simple -p 3 -m node-1", ["boots one system"]),
        ("kareboot3 recorded_env -b /dev/sda -m node-1", ["-b says nothing without -p"]),
        ("kapower3 --dry-run --off -m node-1", ["kadeploy3 --dry-run"]),
        ("kapower3 --status -o ok -m node-1", ["--status"]),
        ("kapower3 -m node-1", ["--on, --off and --status"]),
        ("kanodes3 -v -listnode", ["stands alone"]),
        ("kadeploy3 -e NAME -m node-1 --dry-run -n ko", ["-n: a dry run"]),
        ("kadeploy3 -e NAME -m node-1 --no-wait -n ko", ["-n: who does not wait"]),
        ("kadeploy3 -e NAME -m node-1 --dry-run --no-wait", ["--dry-run begins nothing"]),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_to_type(site: Site, run: Run, line: str, words: list[str]) -> None:
    code, out, err = typed(run, line)
    assert (code, out) == (2, ""), err
    assert [word for word in words if word not in err] == [], err
    kind = deployer_service_pb2.CreateDeploymentRequest
    assert not [one for one in site.deployer.requests if isinstance(one, kind)]
    assert not site.deployer.control.requests


@pytest.mark.parametrize("name", sorted(COMMANDS))
@pytest.mark.parametrize("word", ["-v", "--version"])
def test_the_version_alone_is_printed(run: Run, name: str, word: str) -> None:
    code, out, _ = typed(run, f"{name} {word}")
    assert (code, ", version " in out) == (0, True)


def test_rights_and_environments_have_the_options_of_the_names_without_the_numeral(site: Site, run: Run) -> None:
    assert typed(run, "karights3 -a -m node-1 -p /dev/sda3 -u johnsmith")[0] == 0
    assert "johnsmith" in typed(run, "karights3 -l -u johnsmith")[1]
    assert typed(run, "kaenv3 -l")[0] == 0
    assert site.inventory.callers


def test_esc_four_times_leaves_a_console_even_one_by_one(site: Site) -> None:
    master, terminal = pty.openpty()
    code = "from kadeploy3_cli.__main__ import kaconsole3; kaconsole3()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "-m", "node-1"],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, VARIABLE: str(site.client_file)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(7) == b"login: "
        os.write(master, b"a\x1b\x1bb")
        for _ in range(4):
            time.sleep(0.3)
            os.write(master, b"\x1b")
        _, err = process.communicate(timeout=PATIENCE)
    os.close(master)
    os.close(terminal)
    assert (process.returncode, b"ESC four times" in err) == (0, True)
    assert site.deployer.control.typed == b"a\x1b\x1bb\x1b\x1b\x1b"
