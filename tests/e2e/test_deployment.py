"""The main job on real machines: blank disks, PXE, broadcast, reboot, and an answer from the new system.

One lab of two machines for all scenarios here, told in order: each begins where the last one ended, as on a real site.
"""

import io
import json
import os
import re
import subprocess
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kadeploy_demo.report import Report
from kadeploy_demo.scenario import USER, Scenario
from tests.real_site import TINY, answer_in_time, real_site

pytestmark = pytest.mark.lab

TINY_ENV = TINY.description
FAILS_ON_NODE_2 = """#!/bin/sh
set -eu
if [ "$KADEPLOY_NODE" = node-2 ]; then
    echo "no licence for node-2" >&2
    exit 7
fi
tar -xzf "$1/all.tgz" -C "$1"
exec "$1/traitement.ash" "$1"
"""
DEFAULT_STARTED = "tiny: started as node-2 on /dev/vda3"


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    with real_site("deployment", tmp_path_factory.mktemp("deployment")) as scenario:
        yield scenario


@pytest.fixture(scope="module")
def first(scenario: Scenario) -> tuple[int, Report]:
    """The first deployment, onto blank disks."""
    return scenario.deploy(), scenario.verify()


def test_two_blank_machines_answer_from_their_new_system(first: tuple[int, Report]) -> None:
    status, report = first
    assert [(node.name, node.problem) for node in report.nodes] == [("node-1", ""), ("node-2", "")]
    assert (status, report.state, report.succeeded) == (0, "terminated", True)
    for node in report.nodes:
        assert (node.state, node.root_device) == ("deployed", "/dev/vda3")
        assert node.boot_id != node.deployenv_boot_id
        assert re.search(r"root=PARTUUID=[0-9a-f]{8}-03\b", node.kernel_command_line)
    assert len({node.image_digest for node in report.nodes}) == 1


def test_each_step_tells_how_long_it_took(first: tuple[int, Report]) -> None:
    _, report = first
    steps = {"boot_deployment_environment", "partition", "format", "mount", "broadcast", "postinstall"}
    for node in report.nodes:
        assert steps | {"boot_files", "boot_new_system"} <= set(node.seconds)


def test_the_state_of_every_partition_names_its_deployment(scenario: Scenario, first: tuple[int, Report]) -> None:
    _, report = first
    partitions = scenario.user.read_json("kanodes", "-listpartition", "-o", "json")
    targets = [entry for entry in partitions if (entry["device"], entry["partition"]) == ("vda", 3)]
    assert [(entry["node"], entry["state"], entry["deployment_id"]) for entry in targets] == [
        ("node-1", "deployed", report.deployment),
        ("node-2", "deployed", report.deployment),
    ]
    assert {entry["environment"] for entry in targets} == {"tiny"}


def test_the_serial_console_saw_both_systems(scenario: Scenario, first: tuple[int, Report]) -> None:
    assert first[1].succeeded
    for node in scenario.lab.nodes:
        console = node.serial_log.read_text(errors="replace")
        assert "kadeploy: deployment environment ready" in console
        assert f"tiny: started as {node.name} on /dev/vda3" in console


def test_a_user_without_a_right_is_refused_and_nothing_is_touched(
    scenario: Scenario, first: tuple[int, Report]
) -> None:
    mallory = scenario.site.write_client_settings("mallory", "client-mallory.toml")
    refused = subprocess.run(
        scenario.user.argv(["kadeploy", "-e", "tiny", "-m", "node-[1-2]", "-p", "vda3"]),
        env={**os.environ, "KADEPLOY_CONFIG": str(mallory)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode != 0
    assert "node-1" in refused.stderr
    assert "Traceback" not in refused.stderr
    again = scenario.verify()
    assert (again.deployment, again.succeeded) == (first[1].deployment, True)


def told(scenario: Scenario, *command: str, user: str = "") -> subprocess.CompletedProcess[str]:
    """Runs a tool as a user with a right, or as somebody else, and returns how it ended."""
    settings = scenario.site.write_client_settings(user, f"client-{user}.toml") if user else scenario.user.settings
    return subprocess.run(
        scenario.user.argv(command),
        env={**os.environ, "KADEPLOY_CONFIG": str(settings)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def test_commands_run_on_nodes_and_every_line_names_its_node(scenario: Scenario, first: tuple[int, Report]) -> None:
    expected = {f"{node.name}: {node.boot_id}" for node in first[1].nodes}
    ran = told(scenario, "karemote", "-m", "node-[1-2]", "-c", "cat /proc/sys/kernel/random/boot_id; exit $((1 - 1))")
    assert (ran.returncode, set(ran.stdout.splitlines())) == (0, expected), ran.stderr
    failed = told(scenario, "ka", "node", "run", "node-[1-2]", "--", "sh", "-c", "test $(hostname) = node-1")
    assert (failed.returncode, "node-2: exit 1" in failed.stderr) == (6, True)


def test_keys_are_added_once(scenario: Scenario, first: tuple[int, Report], tmp_path: Path) -> None:
    assert first[1].succeeded
    key = tmp_path / "guest.pub"
    key.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGd1ZXN0Z3Vlc3RndWVzdGd1ZXN0Z3Vlc3RndWVzdGc= guest\n")
    for _ in range(2):
        added = told(scenario, "kaaddkeys", "-m", "node-[1-2]", "-k", str(key))
        assert added.returncode == 0, added.stderr
    count = "grep -c guest /root/.ssh/authorized_keys; wc -l </root/.ssh/authorized_keys"
    lines = told(scenario, "karemote", "-m", "node-1", "-c", count).stdout.split()
    assert lines[1] == "1"
    assert int(lines[3]) > 1


def test_power_is_told_and_nobody_without_a_right_is_heard(scenario: Scenario, first: tuple[int, Report]) -> None:
    assert first[1].succeeded
    status = told(scenario, "kapower", "--status", "-m", "node-[1-2]")
    assert (status.returncode, status.stdout.split()[2:]) == (0, ["node-1", "on", "node-2", "on"]), status.stderr
    for command in (
        ("kapower", "--off", "-m", "node-1"),
        ("kareboot", "-m", "node-1", "-h"),
        ("karemote", "-m", "node-1", "-c", "poweroff"),
        ("kaconsole", "-m", "node-1"),
    ):
        refused = told(scenario, *command, user="mallory")
        assert (refused.returncode, "RIGHT_MISSING" in refused.stderr) == (5, True), (command, refused.stderr)


@pytest.fixture(scope="module")
def to_deployment_environment(
    scenario: Scenario, first: tuple[int, Report]
) -> Iterator["Future[subprocess.CompletedProcess[str]]"]:
    """A reboot of the second node into the deployment environment, beside what the first one does."""
    assert first[1].succeeded
    with ThreadPoolExecutor() as aside:
        yield aside.submit(told, scenario, "kareboot", "-d", "-m", "node-2")


@pytest.mark.usefixtures("to_deployment_environment")
def test_a_reboot_into_the_partition_is_seen_on_the_console_and_proved(
    scenario: Scenario, first: tuple[int, Report]
) -> None:
    before = first[1].nodes[0].boot_id
    user = scenario.user
    with subprocess.Popen(
        user.argv(["kaconsole", "-m", "node-1"]),
        env=user.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as console:
        assert console.stdout is not None
        assert console.stderr is not None
        try:
            assert b"console of node-1" in console.stderr.readline()
            rebooted = told(scenario, "kareboot", "-m", "node-1", "-p", "vda3", "--hard")
            assert rebooted.returncode == 0, rebooted.stderr
            busy = told(scenario, "kaconsole", "-m", "node-1")
            assert (busy.returncode, "CONSOLE_IN_USE" in busy.stderr) == (5, True), busy.stderr
            # Ctrl-] leaves the console.
            shown, _ = console.communicate(b"\x1d", timeout=60)
        finally:
            console.kill()
    assert console.returncode == 0
    assert b"tiny: started as node-1 on /dev/vda3" in shown
    now = told(scenario, "karemote", "-m", "node-1", "-c", "cat /proc/sys/kernel/random/boot_id /proc/cmdline")
    assert now.returncode == 0, now.stderr
    assert before not in now.stdout
    assert re.search(r"root=(/dev/vda3|PARTUUID=[0-9a-f]{8}-03)\b", now.stdout)


def test_the_history_counts_the_deployment(scenario: Scenario, first: tuple[int, Report]) -> None:
    assert first[1].succeeded
    counted = scenario.user.read_json("kastats", "-o", "json")
    assert [(node["node"], node["deployments"], node["failures"]) for node in counted["nodes"]] == [
        ("node-1", 1, 0),
        ("node-2", 1, 0),
    ]


def test_kareboot_brings_a_machine_into_the_deployment_environment(
    scenario: Scenario, to_deployment_environment: "Future[subprocess.CompletedProcess[str]]"
) -> None:
    rebooted = to_deployment_environment.result(400)
    assert rebooted.returncode == 0, rebooted.stderr
    seen = told(scenario, "karemote", "-m", "node-2", "-c", "cat /proc/cmdline; grep -c ' / ' /proc/mounts")
    assert seen.returncode == 0, seen.stderr
    assert "kadeploy.node=node-2" in seen.stdout
    assert "root=" not in seen.stdout


def test_power_goes_off_and_on_and_through_a_cycle(
    scenario: Scenario, to_deployment_environment: "Future[subprocess.CompletedProcess[str]]"
) -> None:
    assert to_deployment_environment.result(400).returncode == 0
    machine = scenario.lab.node("node-2")

    def switched(*options: str) -> tuple[int, bool]:
        done = told(scenario, "kapower", *options, "-m", "node-2")
        return done.returncode, scenario.lab.has_power(machine)

    # The system that runs there shuts itself down.
    assert switched("--off", "--level", "soft") == (0, False)
    assert "Power down" in machine.serial_log.read_text(errors="replace").splitlines()[-1]
    assert "off" in told(scenario, "kapower", "--status", "-m", "node-2").stdout
    assert switched("--on") == (0, True)
    assert switched("--cycle") == (0, True)
    assert switched("--off") == (0, False)
    buttons = machine.serial_log.with_name("bmc.log").read_text().splitlines()
    pressed = [line.split("power ")[1] for line in buttons if " power " in line]
    assert pressed[-3:] == ["on", "cycle", "off"]


def refused_while_deploying(scenario: Scenario) -> Iterator[subprocess.CompletedProcess[str]]:
    """Gives what a tool is told of a node once its deployment runs."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if any(
            one["state"] == "deploying" for one in scenario.user.read_json("ka", "deployment", "list", "-o", "json")
        ):
            yield told(scenario, "karemote", "-m", "node-1", "-c", "true")
            yield told(scenario, "kareboot", "-m", "node-1", "-h")
            return
        time.sleep(0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """The second deployment: kadeploy's exit status, what was refused meanwhile, and what is told of each node."""

    status: int
    refused: list[subprocess.CompletedProcess[str]]
    shown: dict[str, Any]
    console_before: int

    def node(self, name: str) -> dict[str, Any]:
        """Returns what is told of a node."""
        told: dict[str, dict[str, Any]] = {entry["node"]: entry for entry in self.shown["nodes"]}
        return told[name]


@pytest.fixture(scope="module")
def second(scenario: Scenario, first: tuple[int, Report]) -> Second:
    """Another environment beside the first one, which is the cluster's default now; it fails on one of the nodes."""
    assert first[1].succeeded
    directory = scenario.directory
    profile = json.loads((directory / "profile.yaml").read_text())
    profile["default_environment"] = {"name": "tiny", "owner": "root", "device": "vda", "partition": 3}
    (directory / "profile.yaml").write_text(json.dumps(profile))
    with tarfile.open(directory / "images" / "half.tgz", "w:gz") as archive:
        archive.add(TINY_ENV.with_name("tiny-postinstall.tgz"), "all.tgz")
        script = FAILS_ON_NODE_2.encode()
        member = tarfile.TarInfo("half.sh")
        member.size, member.mode = len(script), 0o755
        archive.addfile(member, io.BytesIO(script))
    administrator = scenario.administrator
    administrator.run("ka", "cluster", "update", "default", "--profile", str(directory / "profile.yaml"))
    half = (
        "-n",
        "half",
        "-ft",
        str(directory / "images" / "half.tgz"),
        "--script",
        "half.sh",
        "--visibility",
        "public",
    )
    administrator.run("karecordenv", "-fe", str(TINY_ENV), *half)
    administrator.run("kaadduser", "-l", USER, "-m", scenario.node_set, "-p", "vda2")
    console_before = len(scenario.lab.node("node-2").serial_log.read_text(errors="replace"))
    with ThreadPoolExecutor() as aside:
        refused = aside.submit(lambda: list(refused_while_deploying(scenario)))
        done = told(scenario, "kadeploy", "-e", "half", "-m", scenario.node_set, "-p", "vda2")
    latest = scenario.user.read_json("ka", "deployment", "list", "-o", "json")[0]["id"]
    return Second(
        status=done.returncode,
        refused=refused.result(),
        shown=scenario.user.read_json("ka", "deployment", "show", latest, "-o", "json"),
        console_before=console_before,
    )


def test_a_node_that_fails_does_not_stop_the_other(
    scenario: Scenario, first: tuple[int, Report], second: Second
) -> None:
    before = {node.name: node.boot_id for node in first[1].nodes}
    good, bad = second.node("node-1"), second.node("node-2")
    assert (second.status, second.shown["state"]) == (6, "error")
    assert (good["state"], bad["state"], bad["reason"]) == ("deployed", "error", "postinstall_failed")
    assert "exit 7: no licence for node-2" in bad["description"]
    assert good["boot_id"] not in {before["node-1"], good["deployment_boot_id"]}
    now = told(scenario, "karemote", "-m", "node-1", "-c", "cat /proc/cmdline")
    assert re.search(r"root=PARTUUID=[0-9a-f]{8}-02\b", now.stdout), now.stderr


def test_nobody_else_gets_a_node_that_is_being_deployed(second: Second) -> None:
    assert [(one.returncode, "is held by deployment" in one.stderr) for one in second.refused] == [(5, True)] * 2, [
        one.stderr for one in second.refused
    ]


def test_a_node_that_failed_ends_in_the_default_environment_of_its_cluster(
    scenario: Scenario, first: tuple[int, Report], second: Second
) -> None:
    node = scenario.lab.node("node-2")
    deadline = time.monotonic() + 400
    while DEFAULT_STARTED not in node.serial_log.read_text(errors="replace")[second.console_before :]:
        assert time.monotonic() < deadline, node.serial_log.read_text(errors="replace")[-2000:]
        time.sleep(0.5)
    deployed = scenario.user.read_json("ka", "deployment", "show", first[1].deployment, "-o", "json")["nodes"]
    answer = answer_in_time(scenario, next(told for told in deployed if told["node"] == "node-2"))
    assert answer.root_device == "/dev/vda3"
    assert answer.boot_id not in {first[1].nodes[1].boot_id, second.node("node-2")["deployment_boot_id"]}
    # By the entry of the default environment, and not because an older one was left.
    assert "root=/dev/vda3" in answer.kernel_command_line
    assert "kadeploy.token" not in answer.kernel_command_line


def test_the_report_says_it_all_for_programs(first: tuple[int, Report], tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    first[1].write(path)
    read = json.loads(path.read_text())
    keys = {"name", "state", "deployenv_boot_id", "boot_id", "root_device", "kernel_command_line"}
    assert all(keys | {"image_digest", "seconds"} <= set(node) for node in read["nodes"])
