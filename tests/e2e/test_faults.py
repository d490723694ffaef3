"""Faults on real machines: what is lost is named, what is whole is deployed.

One lab of six machines and two deployments at the same time, in which everything goes wrong. In the first one: in the
middle of the copy one node loses its power and the deployer is killed and started again, and the post-install script of
another node fails; the third node starts its new system by kexec. In the second one: a disk smaller than the inventory
says, a machine that reboots into the wrong system because somebody changed its boot file, and one without a cable.
"""

import json
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc, deployment_event_pb2
from kadeploy_demo.scenario import USER, Scenario
from kadeploy_edge.channel import open_channel
from kadeploy_lab.plan import tap
from tests.real_site import ENVIRONMENTS, answer_of, archive, described, real_site

pytestmark = pytest.mark.lab

TINY = ENVIRONMENTS / "tiny"
BOUND = 400.0
NAMES = ("node-1", "node-2", "node-3")
SMALL, ASTRAY, UNPLUGGED = "node-4", "node-5", "node-6"
GIB = 1 << 30

FAULTY_POSTINSTALL = """#!/bin/sh
set -eu
echo "post-install of $KADEPLOY_ENV on $KADEPLOY_NODE, partition $KADEPLOY_DEPLOY_PART_NUM of $KADEPLOY_BLOCK_DEVICE"
if [ "$KADEPLOY_NODE" = node-3 ]; then
    echo "the licence server does not answer" >&2
    exit 3
fi
exec "$1/traitement.ash" "$1"
"""
PREINSTALL = """#!/bin/sh
echo "pre-install on $KADEPLOY_NODE of $KADEPLOY_CLUSTER: $KADEPLOY_BLOCK_DEVICE, $KADEPLOY_FS_TYPE, $1"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A deployment that has ended: kadeploy's exit status, and what it left."""

    status: int
    shown: dict[str, Any]
    directory: Path

    def node(self, name: str) -> dict[str, Any]:
        """Returns what is told of a node."""
        told: dict[str, dict[str, Any]] = {entry["node"]: entry for entry in self.shown["nodes"]}
        return told[name]


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    directory = tmp_path_factory.mktemp("faults")
    images = directory / "images"
    images.mkdir()
    archive(images / "preinstall.tgz", {"init.ash": PREINSTALL})
    with tarfile.open(TINY / "tiny-postinstall.tgz") as good:
        members = [(member.name, good.extractfile(member)) for member in good]
        files = {name: content.read().decode() for name, content in members if content is not None}
    archive(images / "postinstall.tgz", {**files, "faulty.sh": FAULTY_POSTINSTALL})
    description = directory / "faulty.env"
    values = dict(line.split(" = ", 1) for line in (TINY / "tiny.env").read_text().splitlines())
    values |= {"name": "faulty", "filesite": f"{images}/postinstall.tgz", "script": "faulty.sh"}
    description.write_text("".join(f"{key} = {value}\n" for key, value in values.items()))
    with real_site(
        "faults",
        directory,
        build=described("faulty", description),
        node_count=6,
        memory_mib=512,
        # Whoever takes over does not wait long for the dead.
        deployer_settings="lease_seconds = 5\n",
    ) as scenario:
        os.truncate(scenario.lab.node(SMALL).disk, 2 * GIB)
        # Another cluster, in which nobody is waited for long.
        profile = json.loads((directory / "profile.yaml").read_text())
        (directory / "hasty.yaml").write_text(
            json.dumps({**profile, "first_check_timeout": 20, "reboot_ladder": ["hard"]})
        )
        scenario.administrator.run("ka", "cluster", "create", "hasty", "--profile", str(directory / "hasty.yaml"))
        scenario.administrator.run("ka", "node", "update", UNPLUGGED, "--cluster", "hasty")
        yield scenario


def deploy(
    scenario: Scenario,
    *options: str,
    when: Callable[[deployment_event_pb2.DeploymentEvent], bool],
    then: Callable[[], None],
) -> Ended:
    """Runs kadeploy, does something at the first event that is awaited, and returns how it ended."""
    directory = scenario.directory
    before = [entry["id"] for entry in scenario.user.read_json("ka", "deployment", "list", "-o", "json")]
    command = ["kadeploy", "-e", scenario.build.environment, "-p", "vda3", *options]
    running = subprocess.Popen(scenario.user.argv(command), env=scenario.user.environment(), stdin=subprocess.DEVNULL)
    try:
        with open_channel(scenario.site.addresses["deployer"], caller=f"user:{USER}") as channel:
            stub = deployer_service_pb2_grpc.DeploymentServiceStub(channel)
            name = new_deployment(stub, before)
            request = deployer_service_pb2.WatchDeploymentRequest(id=name)
            for message in stub.WatchDeployment(request, timeout=BOUND):
                if message.HasField("event") and when(message.event):
                    then()
                    break
        status = running.wait(BOUND)
    finally:
        running.kill()
    return Ended(
        status=status,
        shown=scenario.user.read_json("ka", "deployment", "show", name, "-o", "json"),
        directory=directory,
    )


def new_deployment(stub: deployer_service_pb2_grpc.DeploymentServiceStub, before: list[str]) -> str:
    """Waits for a deployment that was not there before and returns its id."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        listed = stub.ListDeployments(deployer_service_pb2.ListDeploymentsRequest(), timeout=10).deployments
        names = [one.id for one in listed if one.id not in before]
        if names:
            return names[0]
        time.sleep(0.2)
    raise AssertionError("kadeploy began no deployment")


def copying(node: str) -> Callable[[deployment_event_pb2.DeploymentEvent], bool]:
    """Returns what recognises that a node has a part of the image, and not yet all of it."""

    def check(event: deployment_event_pb2.DeploymentEvent) -> bool:
        progress = event.step_progressed
        return event.node == node and progress.step == "broadcast" and 0 < progress.done < progress.total

    return check


def lead_astray(scenario: Scenario) -> None:
    """Puts a machine's first boot entry back as soon as the one for the new system is there, as a careless script does.

    The machine has still to unmount and reboot then, and its firmware takes seconds before it asks for the file.
    """
    node = scenario.lab.node(ASTRAY)
    entry = scenario.lab.tftp_root / "PXEClient" / "pxelinux.cfg" / f"01-{node.mac.replace(':', '-')}"
    to_deployment_environment = wait_for_entry(entry, "deploy-vmlinuz")
    wait_for_entry(entry, "root=PARTUUID=")
    entry.write_text(to_deployment_environment)


def wait_for_entry(entry: Path, words: str) -> str:
    """Waits until a boot file says so and returns it."""
    deadline = time.monotonic() + BOUND
    while True:
        text = entry.read_text() if entry.exists() else ""
        if words in text:
            return text
        assert time.monotonic() < deadline, f"{entry} never says {words}: {text}"
        time.sleep(0.05)


def wait_for_a_deployment(scenario: Scenario) -> None:
    """Waits until the deployer knows one."""
    deadline = time.monotonic() + 60
    while not scenario.user.read_json("ka", "deployment", "list", "-o", "json"):
        assert time.monotonic() < deadline, "kadeploy began no deployment"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def second(scenario: Scenario) -> Iterator[Future[int]]:
    """A deployment beside the first one, on three machines of which none can be deployed; kadeploy's exit status."""
    subprocess.run(scenario.lab.exec_argv(["ip", "link", "set", tap(6), "down"]), check=True, timeout=10)
    nodes = f"{SMALL},{ASTRAY},{UNPLUGGED}"
    command = scenario.user.argv(["kadeploy", "-e", "tiny", "-p", "vda3", "-m", nodes, "--partition-disk"])
    environment = scenario.user.environment()
    scenario.administrator.run("karecordenv", "-fe", str(TINY / "tiny.env"), "--visibility", "public")
    with ThreadPoolExecutor() as aside:
        ended = aside.submit(
            lambda: (
                subprocess.run(
                    command, env=environment, stdin=subprocess.DEVNULL, timeout=BOUND, check=False
                ).returncode
            )
        )
        astray = aside.submit(lead_astray, scenario)
        wait_for_a_deployment(scenario)
        yield ended
    astray.result()


@pytest.fixture(scope="module")
def first(scenario: Scenario, second: Future[int]) -> Ended:
    """All options at once, and two nodes that come to grief."""
    assert not second.done()
    directory = scenario.directory
    profile = json.loads((directory / "profile.yaml").read_text())
    profile["preinstall"] = {"archive": f"{directory}/images/preinstall.tgz"}
    (directory / "profile.yaml").write_text(json.dumps(profile))
    scenario.administrator.run("ka", "cluster", "update", "default", "--profile", str(directory / "profile.yaml"))
    key = directory / "users_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=30)
    script = directory / "at-the-end"
    script.write_text(f'#!/bin/sh\necho "$KADEPLOY_NODES_OK / $KADEPLOY_NODES_KO" >{directory}/said\n')
    script.chmod(0o755)

    def cut_the_power_and_kill_the_deployer() -> None:
        pid = scenario.site.process("deployer").pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        off = scenario.lab.ipmi_argv(scenario.lab.node("node-2"), ["chassis", "power", "off"])
        subprocess.run(scenario.lab.exec_argv(off), check=True, timeout=20, capture_output=True)
        scenario.site.start_one("deployer")

    return deploy(
        scenario,
        *("-m", ",".join(NAMES), "--partition-disk", "-r", "ext4", "-F", "-k", f"{key}.pub", "--timeout-first", "400"),
        *("-s", str(script), "-o", f"{directory}/ok", "-n", f"{directory}/ko"),
        when=copying("node-2"),
        then=cut_the_power_and_kill_the_deployer,
    )


def test_the_whole_node_is_deployed_beside_two_that_are_not(first: Ended) -> None:
    states = {name: (first.node(name)["state"], first.node(name).get("reason")) for name in NAMES}
    assert states["node-1"][0] == "deployed"
    assert states["node-2"] == ("error", "transfer_failed")
    assert states["node-3"] == ("error", "postinstall_failed")
    assert "exit 3: the licence server does not answer" in first.node("node-3")["description"]
    assert (first.status, first.shown["state"]) == (6, "error")


def test_a_deployer_that_was_killed_ended_what_it_had_begun(scenario: Scenario, first: Ended) -> None:
    assert len({first.node(name)["image_digest"] for name in ("node-1", "node-3")}) == 1
    log = scenario.site.log_file("deployer").read_text()
    assert "taken over" in log


def test_what_scripts_printed_can_be_read(scenario: Scenario, first: Ended) -> None:
    text = scenario.user.run("ka", "deployment", "output", first.shown["id"], "node-3")
    assert "pre-install on node-3 of default: /dev/vda, ext4, /rambin" in text
    assert "post-install of faulty on node-3, partition 3 of /dev/vda" in text
    assert "the licence server does not answer" in text


def test_kexec_started_the_new_system_and_the_user_s_key_opens_it(scenario: Scenario, first: Ended) -> None:
    told = first.node("node-1")
    answer = answer_of(scenario, told, private_key=first.directory / "users_key")
    assert answer.boot_id == told["boot_id"] != told["deployment_boot_id"]
    assert answer.root_device == "/dev/vda3"
    assert "kadeploy.token=" in answer.kernel_command_line
    # The network loader names the file that it loaded; kexec does not.
    assert "BOOT_IMAGE" not in answer.kernel_command_line


def test_a_later_reboot_boots_the_same_over_the_network(scenario: Scenario, first: Ended) -> None:
    assert first.node("node-1")["state"] == "deployed"
    name = f"01-{scenario.lab.node('node-1').mac.replace(':', '-').lower()}"
    entries = [path.read_text() for path in scenario.lab.tftp_root.rglob(name)]
    assert entries
    assert all("root=PARTUUID=" in entry and "kadeploy.token=" in entry for entry in entries)


def test_the_files_and_the_script_of_the_user_tell_the_nodes(first: Ended) -> None:
    assert (first.directory / "ok").read_text() == "node-1\n"
    assert (first.directory / "ko").read_text() == "node-2\nnode-3\n"
    assert (first.directory / "said").read_text() == "node-1 / node-2 node-3\n"


def test_each_node_has_its_own_seconds(first: Ended) -> None:
    seconds = {name: {step["step"]: step["duration"] for step in first.node(name)["step_durations"]} for name in NAMES}
    assert len({seconds[name]["boot_deployment_environment"] for name in NAMES}) == len(NAMES)


def test_the_tmp_partition_was_made_anew_and_is_used(scenario: Scenario, first: Ended) -> None:
    assert first.node("node-1")["state"] == "deployed"
    mounted = scenario.user.run("karemote", "-m", "node-1", "-c", "grep ' /tmp ' /proc/mounts")
    assert mounted.startswith("node-1: /dev/vda4 /tmp ext4 rw")


@pytest.fixture(scope="module")
def hopeless(scenario: Scenario, first: Ended, second: Future[int]) -> Ended:
    """The second deployment at its end."""
    status = second.result(BOUND)
    for entry in scenario.user.read_json("ka", "deployment", "list", "-o", "json"):
        if entry["id"] != first.shown["id"]:
            shown = scenario.user.read_json("ka", "deployment", "show", entry["id"], "-o", "json")
            return Ended(status=status, shown=shown, directory=scenario.directory)
    raise AssertionError("there was no second deployment")


def test_each_node_that_cannot_be_deployed_has_its_own_reason(hopeless: Ended) -> None:
    assert (hopeless.status, hopeless.shown["state"]) == (1, "error")
    found = {name: (hopeless.node(name)["state"], hopeless.node(name)["reason"]) for name in (SMALL, ASTRAY, UNPLUGGED)}
    assert found == {
        SMALL: ("error", "partition_too_small"),
        ASTRAY: ("error", "wrong_system_booted"),
        UNPLUGGED: ("error", "not_there_on_first_check"),
    }
    small, astray, unplugged = (hopeless.node(name)["description"] for name in found)
    assert f"on a disk of {2 * GIB:,} bytes" in small
    assert "the deployment environment" in astray
    assert "hard reboot" in astray
    assert "power on (waited 20 s), hard reboot (waited 20 s)" in unplugged


def test_nothing_was_written_to_the_disk_that_is_too_small(scenario: Scenario, hopeless: Ended) -> None:
    assert hopeless.node(SMALL)["step_durations"]
    with scenario.lab.node(SMALL).disk.open("rb") as disk:
        assert disk.read(512) == bytes(512)
