"""Command lines as users of Kadeploy 2 and 3 type them: each is done, or refused with the words to type instead."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy.inventory.v1 import node_pb2
from kadeploy_cli.deployments.classic_commands import kadeploy
from kadeploy_cli.environments.classic_commands import kaenvironments
from kadeploy_cli.ka import ka
from kadeploy_cli.nodes.classic_commands import kadelnode, kanodes
from kadeploy_cli.operations.classic_commands import kapower, kareboot, karemote, kastats
from kadeploy_cli.rights.classic_commands import kaadduser, kadeluser, karights
from tests.fakes.site import Run, Site

pytestmark = pytest.mark.integration

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPmGGuP8Wm5bkqmzPBKjBqrwkg5bKVRAv5OTlDjsQ7bz user@example"
CONTROL = (kareboot, kapower, karemote, kastats)
COMMANDS = {
    str(command.name): command
    for command in (
        kadeploy,
        kaenvironments,
        kareboot,
        kapower,
        karights,
        kaadduser,
        kadeluser,
        kanodes,
        kadelnode,
        karemote,
        kastats,
        ka,
    )
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's home with a file of nodes and the keys of ssh, where the commands are typed."""
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/authorized_keys").write_text(f"{KEY}\n")
    (tmp_path / "nodes").write_text("node-1\nnode-1\nnode-2\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OAR_NODEFILE", str(tmp_path / "nodes"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(run: Run, line: str) -> tuple[int, str, str]:
    name, *arguments = shlex.split(line.replace("$OAR_NODEFILE", "nodes"))
    command: click.Command = COMMANDS[name]
    result = run(command, arguments)
    return result.exit_code, result.stdout, result.stderr


def deployed(site: Site) -> Any:
    (request,) = [
        one for one in site.deployer.requests if isinstance(one, deployer_service_pb2.CreateDeploymentRequest)
    ]
    return request.spec


def operated(site: Site) -> Any:
    (request,) = site.deployer.control.requests
    return request


Check = Callable[[Any], bool]


@pytest.mark.parametrize(
    ("line", "check"),
    [
        ("kadeploy -f $OAR_NODEFILE -e NAME -k", lambda spec: list(spec.authorized_keys) == [KEY]),
        ("kadeploy -f $OAR_NODEFILE -e NAME -k .ssh/authorized_keys", lambda spec: list(spec.authorized_keys) == [KEY]),
        ("kadeploy -e NAME -m node-1 -m node-2 -k -o ok -n ko", lambda spec: spec.nodes == "node-[1-2]"),
        ("kadeploy --env-name NAME -m node-1", lambda spec: spec.environment_name == "NAME"),
        ("kadeploy -e NAME --env-user deploy -m node-1", lambda spec: spec.environment_owner == "deploy"),
        ("kadeploy -e NAME -b /dev/sda -p 3 -m node-1", lambda spec: (spec.device, spec.partition) == ("sda", 3)),
        ("kadeploy -e NAME -p /dev/sda3 -m node-1", lambda spec: (spec.device, spec.partition) == ("sda", 3)),
        ("kadeploy -e NAME -r -m node-1", lambda spec: spec.reformat_tmp == "ext4"),
        ("kadeploy -e NAME -m node-1 -r", lambda spec: spec.reformat_tmp == "ext4"),
        ("kadeploy -e NAME -r ext2 -m node-1", lambda spec: spec.reformat_tmp == "ext2"),
        ("kadeploy -e NAME -u -m node-1", lambda spec: spec.use_production_system),
        ("kadeploy -e NAME -m node-1 -F", lambda spec: spec.boot_method == deployment_pb2.BOOT_METHOD_KEXEC),
    ],
)
def test_a_deployment_is_made_of_what_was_typed(site: Site, run: Run, line: str, check: Check) -> None:
    assert typed(run, line)[0] == 0
    assert check(deployed(site))


def test_a_script_gets_the_id_and_need_not_wait(site: Site, run: Run, home: Path) -> None:
    assert typed(run, "kadeploy -e NAME -m node-1 --no-wait --write-workflow-id wid")[:2] == (0, "D-1\n")
    assert (home / "wid").read_text() == "D-1\n"
    assert typed(run, "kadeploy -e NAME -m node-1 --write-workflow-id absent/wid")[0] == 2
    assert len(site.deployer.deployments) == 1


SIMPLE, RESCUE = "simple", "deployment_kernel"


@pytest.mark.parametrize(
    ("line", "check"),
    [
        ("kareboot simple -m node-1", lambda request: request.WhichOneof("target") == SIMPLE),
        ("kareboot -r simple -m node-1", lambda request: request.WhichOneof("target") == SIMPLE),
        ("kareboot --reboot-kind simple -f $OAR_NODEFILE", lambda request: request.nodes == "node-[1-2]"),
        ("kareboot deploy_env -m node-1", lambda request: request.WhichOneof("target") == RESCUE),
        ("kareboot -r recorded_env -e NAME -m node-1", lambda request: request.environment.name == "NAME"),
        ("kareboot -r recorded_env -p /dev/sda3 -m node-1", lambda request: request.partition.partition == 3),
        ("kareboot -s -p sda3 -m node-1", lambda request: request.partition.device == "sda"),
        ("kapower --on -m node-1", lambda request: request.action == deployer_service_pb2.POWER_ACTION_ON),
        ("kapower on -m node-1", lambda request: request.action == deployer_service_pb2.POWER_ACTION_ON),
        ("kapower --off -l very_hard -m node-1", lambda request: request.level == 3),
        ("kapower --off -n ko -o ok -m node-1", lambda request: request.nodes == "node-1"),
        ("kapower --off --force -m node-1", lambda request: request.force),
        ("kareboot --very-hard --force -m node-1", lambda request: request.force),
        ("kapower --off -m node-1", lambda request: not request.force),
        ("kapower --status -m node-1", lambda request: request.nodes == "node-1"),
    ],
)
def test_nodes_are_rebooted_and_switched_as_typed(site: Site, run: Run, line: str, check: Check) -> None:
    assert typed(run, line)[0] == 0
    assert check(operated(site))


@pytest.mark.parametrize("line", ["kareboot --no-wait -m node-[1-2]", "kapower --off --no-wait -m node-[1-2]"])
def test_an_operation_that_nobody_waits_for_has_an_id(site: Site, run: Run, home: Path, line: str) -> None:
    site.deployer.control.hold = True
    code, out, _ = typed(run, f"{line} --write-workflow-id wid")
    assert operated(site).detached
    assert (code, out) == (0, "op-1\n")
    assert (home / "wid").read_text() == "op-1\n"
    code, _, err = typed(run, f"{line} -o ok")
    assert (code, "--no-wait knows no results" in err) == (2, True)


def test_an_operation_that_is_refused_has_none(site: Site, run: Run) -> None:
    site.deployer.control.denied = True
    code, out, err = typed(run, "kareboot --no-wait -m node-1")
    assert (code, out, "has no right" in err) == (5, "", True)


@pytest.mark.parametrize(
    "line",
    [
        "karights -a -m node-1 -p /dev/sda3 -u johnsmith",
        'karights -a -m "node-[1-2]" --part /dev/sda3 -u johnsmith -o',
        "kaadduser -l johnsmith -m node-1 -p /dev/sda3",
        "ka right grant -l johnsmith -m node-1 -p /dev/sda3",
    ],
)
def test_rights_name_a_partition_with_or_without_dev(site: Site, run: Run, line: str) -> None:
    assert typed(run, line)[0] == 0
    granted = [one for one in site.inventory.requests if hasattr(one, "partitions") and hasattr(one, "expire_time")]
    assert [list(one.partitions) for one in granted] == [["sda3"]]
    for command in ("karights -l -u johnsmith", "karights -s -u johnsmith"):
        assert typed(run, command)[0] == 0
    assert typed(run, "kadeluser -l johnsmith -p /dev/sda3")[0] == 0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        # What -V means here: the version, and nothing beside it.
        ("kadeploy -V 1 -m node-1 -m node-2 -e debian -k -o nodes_ok", ["-V", "kadeploy3"]),
        ("kadeploy -V4 -m node-1 -e debian", ["-V", "kadeploy3"]),
        ("kadeploy -m node-1 -e debian --version", ["-V"]),
        ("kadeploy -V 0 --vlan 4", ["--vlan"]),
        ("kareboot -V 0 -s -m node-1", ["-V"]),
        ("kapower -V 0 --off -m node-1", ["-V"]),
        ("kanodes -V -listnode", ["-V"]),
        ("kadelnode -V node-1", ["-V"]),
        ("karights -V 1 -l", ["-V"]),
        ("karemote -V -m node-1", ["-V"]),
        ("kastats -V -m node-1", ["-V"]),
        ("ka -V node list", ["-V"]),
        # Words of others, and options that took one.
        ("kadeploy -e NAME -u OWNER -m node-1", ["-u takes no value", "-l USER"]),
        ("kadeploy -e NAME -k -d -f nodes", ["-f is an option", "--verbose"]),
        ("kadeploy -e -m node-1", ["-e/--environment", "-m is an option"]),
        ("kadeploy -e NAME -c 2 -m node-1", ["-c", "-p PARTITION"]),
        ("kadeploy -e NAME --vlan 4 -m node-1", ["--vlan"]),
        ("kadeploy -e NAME --no-kexec -m node-1", ["--boot-method"]),
        ("kadeploy -e NAME --force-steps 'SetDeploymentEnv|X:1:2' -m node-1", ["--timeout-first"]),
        ("kadeploy -e NAME --custom-steps f -m node-1", ["post-install"]),
        ("kadeploy -e NAME --set-custom-operations f -m node-1", ["post-install"]),
        ("kadeploy -e NAME --breakpoint BroadcastEnv -m node-1", ["kareboot -d"]),
        ("kadeploy -e NAME --force -m node-1", ["ka deployment cancel"]),
        ("kadeploy -e NAME --multi-server -m node-1", ["--config FILE"]),
        ("kadeploy -e NAME -M -m node-1", ["--config FILE"]),
        ("kadeploy -e NAME -w f -m node-1", ["--kernel-arguments"]),
        ("kadeploy -e NAME -x f -m node-1", ["--kernel-arguments"]),
        ("kadeploy -e NAME -D 4 -m node-1", ["--verbose"]),
        ("kareboot -f nodes -l hard", ["--hard (-h)"]),
        ("kareboot -n ko -m node-1", ["-n takes no value", "--output-ko-nodes"]),
        ("kareboot -r recorded_env -m node-1", ["-e NAME", "-p PARTITION"]),
        ("kareboot set_pxe -m node-1", ["-n with -d, -e or -p"]),
        ("kareboot simple -e NAME -m node-1", ["boots one system"]),
        ("kareboot simple -r deploy_env -m node-1", ["different things"]),
        ("kapower on --off -m node-1", ["one of --on, --off"]),
        ("karights -o -a -u root", ["-u USER", "-m NODES"]),
        ("karights -d", ["(-u)"]),
        # Half of what was asked is not what was asked.
        ("kadeploy -e NAME -m node-1 --plan -o ok", ["-o: a plan gets no results"]),
        ("kadeploy -e NAME -m node-1 --plan --detach", ["--plan begins nothing"]),
        ("kadeploy -e NAME -m node-1 --detach -o ok -s /bin/true", ["-o, -s: who does not wait"]),
        ("kadeploy -e NAME -m node-1 --no-wait --wait-for 1", ["--wait-for: who does not wait"]),
        ("karights -l --until 2030-01-01", ["go with -a"]),
        ("karights -d -o -u alice", ["go with -a"]),
        ("karights -l -p sda3", ["-p says nothing with -l"]),
        ("kaenvironments -a file -d NAME", ["one at a time"]),
        ("kaenvironments -e NAME -m node-1", ["one at a time"]),
        ("kaenvironments --env-version 3", ["-e or -d"]),
        ("kaenvironments -e NAME -z lab", ["-z goes with the list"]),
    ],
)
def test_a_line_is_refused_with_what_to_type(site: Site, run: Run, line: str, words: list[str]) -> None:
    code, out, err = typed(run, line)
    assert (code, out) == (2, ""), err
    assert [word for word in words if word not in err] == [], err
    assert not site.deployer.requests
    assert not site.deployer.control.requests


@pytest.mark.parametrize("name", sorted(COMMANDS))
@pytest.mark.parametrize("word", ["-V", "--version"])
def test_the_version_alone_is_printed(run: Run, name: str, word: str) -> None:
    code, out, _ = typed(run, f"{name} {word}")
    assert (code, ", version " in out) == (0, True)


@pytest.mark.parametrize("line", ["kadeploy -e debian -m node-1 --plan", "kareboot -s -m node-1", "karemote -m node-1"])
def test_a_short_name_is_the_registered_one(site: Site, run: Run, line: str) -> None:
    name = "node-1.site.example.org"
    site.inventory.nodes[name] = node_pb2.Node(name=name)
    assert typed(run, line)[0] == 0
    asked = [*site.deployer.requests, *site.deployer.control.requests]
    assert name in str(asked)
