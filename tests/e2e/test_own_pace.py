"""Each node at its own pace, through the death of the deployer: one lab of four machines.

Node-4 ignores its power: its commands say that they worked and do nothing. The others are deployed beside it. Then the
deployer is killed while four nodes are in four different steps, and again in the middle of a reboot.
"""

import json
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kadeploy_demo.errors import DemoError
from kadeploy_demo.scenario import Scenario
from tests.real_site import ENVIRONMENTS, archive, described, real_site

pytestmark = pytest.mark.lab

TINY = ENVIRONMENTS / "tiny"
BOUND = 300.0
DEAF = "node-4"
SLOW_TO_BEGIN, SLOW_TO_END = "node-2", "node-3"
PREINSTALL = f"""#!/bin/sh
[ "$KADEPLOY_NODE" != {SLOW_TO_BEGIN} ] || sleep 60
"""
POSTINSTALL = f"""#!/bin/sh
[ "$KADEPLOY_NODE" != {SLOW_TO_END} ] || sleep 60
exec "$1/traitement.ash" "$1"
"""


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    directory = tmp_path_factory.mktemp("paces")
    images = directory / "images"
    images.mkdir()
    archive(images / "preinstall.tgz", {"init.ash": PREINSTALL})
    with tarfile.open(TINY / "tiny-postinstall.tgz") as good:
        members = [(member.name, good.extractfile(member)) for member in good]
        files = {name: content.read().decode() for name, content in members if content is not None}
    archive(images / "postinstall.tgz", {**files, "end.sh": POSTINSTALL})
    values = dict(line.split(" = ", 1) for line in (TINY / "tiny.env").read_text().splitlines())
    values |= {"name": "paced", "filesite": f"{images}/postinstall.tgz", "script": "end.sh"}
    description = directory / "paced.env"
    description.write_text("".join(f"{key} = {value}\n" for key, value in values.items()))
    with real_site(
        "paces",
        directory,
        build=described("paced", description),
        node_count=4,
        memory_mib=512,
        # Whoever takes over does not wait long for the dead.
        deployer_settings="lease_seconds = 5\n",
    ) as scenario:
        nothing = directory / "nothing.yaml"
        words = ("power_on", "hard_reboot", "very_hard_reboot")
        nothing.write_text(json.dumps({word: ["true"] for word in words}))
        scenario.administrator.run("ka", "node", "update", DEAF, "--commands", str(nothing))
        scenario.administrator.run("karecordenv", "-fe", str(TINY / "tiny.env"), "--visibility", "public")
        yield scenario


def begin(scenario: Scenario, environment: str, nodes: str) -> str:
    """Begins a deployment and returns its id."""
    options = ("-e", environment, "-p", "vda3", "-m", nodes, "--partition-disk", "--no-wait")
    return scenario.user.run("kadeploy", *options).strip()


def shown(scenario: Scenario, what: str, name: str) -> Any:
    return scenario.user.read_json("ka", what, "show", name, "-o", "json")


def wait_until(read: Callable[[], Any], true: Callable[[Any], bool], what: str) -> Any:
    """Reads again and again, and returns what was read as soon as it is so."""
    deadline = time.monotonic() + BOUND
    while not true(found := read()):
        assert time.monotonic() < deadline, f"{what}: {found}"
        time.sleep(0.5)
    return found


def steps(deployment: Any) -> dict[str, str]:
    """Returns the step of each node that is on its way."""
    ended = ("deployed", "error")
    return {node["node"]: node.get("step", "") for node in deployment["nodes"] if node["state"] not in ended}


def kill_and_start(scenario: Scenario) -> None:
    """Kills the deployer without warning, and starts another one."""
    pid = scenario.site.process("deployer").pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while True:
        try:
            scenario.site.start_one("deployer")
        except DemoError:
            # The killed one is still there for a moment.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def test_two_nodes_are_deployed_before_the_first_rung_of_the_third_is_over(scenario: Scenario) -> None:
    name = begin(scenario, "tiny", f"node-1,node-2,{DEAF}")

    def states(deployment: Any) -> list[str]:
        return [node["state"] for node in deployment["nodes"]]

    found = wait_until(
        lambda: shown(scenario, "deployment", name),
        lambda one: states(one)[:2] == ["deployed", "deployed"] or one["state"] in {"error", "terminated"},
        "two nodes are deployed",
    )
    assert (found["state"], states(found)) == ("deploying", ["deployed", "deployed", "to_deploy"])
    assert steps(found) == {DEAF: "boot_deployment_environment"}
    # A second rung would be a second reboot, and the remark that says why.
    assert "reboot follows" not in scenario.site.log_file("deployer").read_text()
    scenario.user.run("ka", "deployment", "cancel", name, "--reason", "the others are there")
    ended = wait_until(
        lambda: shown(scenario, "deployment", name), lambda one: one["state"] == "error", "the deployment ends"
    )
    assert states(ended) == ["deployed", "deployed", "error"]
    assert ended["nodes"][2]["reason"] == "cancelled"


def test_a_deployer_that_is_killed_while_nodes_are_in_four_steps_goes_on_with_each(scenario: Scenario) -> None:
    directory = scenario.directory
    profile = json.loads((directory / "profile.yaml").read_text())
    profile["preinstall"] = {"archive": f"{directory}/images/preinstall.tgz"}
    (directory / "profile.yaml").write_text(json.dumps(profile))
    scenario.administrator.run("ka", "cluster", "update", "default", "--profile", str(directory / "profile.yaml"))
    name = begin(scenario, "paced", "node-[1-4]")
    found = wait_until(
        lambda: steps(shown(scenario, "deployment", name)),
        lambda one: (
            len(one) == 4
            and len(set(one.values())) == 4
            and (one[SLOW_TO_BEGIN], one[SLOW_TO_END]) == ("preinstall", "postinstall")
        ),
        "four nodes are in four steps",
    )
    assert found[DEAF] == "boot_deployment_environment"

    kill_and_start(scenario)
    # Somebody presses the button of the machine that nobody reached.
    on = scenario.lab.ipmi_argv(scenario.lab.node(DEAF), ["chassis", "power", "on"])
    subprocess.run(scenario.lab.exec_argv(on), check=True, timeout=20, capture_output=True)

    ended = wait_until(
        lambda: shown(scenario, "deployment", name),
        lambda one: one["state"] in {"error", "terminated"},
        "the deployment ends",
    )
    assert ended["description"] == "4 of 4 nodes deployed"
    assert "taken over" in scenario.site.log_file("deployer").read_text()


def boot_ids(scenario: Scenario) -> dict[str, str]:
    said = scenario.user.run("karemote", "-m", "node-[1-2]", "-c", "cat /proc/sys/kernel/random/boot_id")
    return dict(line.split(": ", 1) for line in said.splitlines() if ": " in line)


def test_a_reboot_survives_its_deployer_and_happens_once(scenario: Scenario) -> None:
    before = boot_ids(scenario)
    name = scenario.user.run("kareboot", "-m", "node-[1-2]", "--no-wait").strip()
    wait_until(
        lambda: shown(scenario, "operation", name),
        lambda one: all(node.get("step") == "reboot" for node in one["node_states"]),
        "both nodes are being rebooted",
    )
    # Time to note the boots that ran, and to go down.
    time.sleep(4)
    kill_and_start(scenario)
    ended = wait_until(
        lambda: shown(scenario, "operation", name),
        lambda one: one["state"] in {"error", "terminated"},
        "the operation ends",
    )
    assert (ended["state"], ended["description"]) == ("terminated", "2 of 2 nodes rebooted")
    after = boot_ids(scenario)
    assert {node for node in before if before[node] != after[node]} == {"node-1", "node-2"}


def test_what_was_done_stands_in_the_list(scenario: Scenario) -> None:
    listed = scenario.user.read_json("ka", "operation", "list", "--kind", "reboot", "-o", "json")
    assert [(one["state"], one["action"]) for one in listed] == [("terminated", "reboot")]
