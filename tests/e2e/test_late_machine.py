"""Three machines in one chain, one of them switched on late: it joins, and all three are deployed.

The deployer's link is slow for everything but SSH until the late machine has its first bytes. So the other two still
receive when it comes, however busy this host is.
"""

import ast
import json
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc, deployment_event_pb2
from kadeploy_demo.scenario import USER, Scenario
from kadeploy_edge.channel import open_channel
from kadeploy_lab.plan import BRIDGE
from tests.real_site import answer_in_time, real_site

pytestmark = pytest.mark.lab

LATE = "node-3"
BOUND = 500.0
SLOW_KBITS, LATER_KBITS = 800, 20_000
# The power switch of the late machine: somebody presses it while a command waits, or the next command finds it pressed.
SWITCH = """#!/bin/sh
signal=$1
shift
for _ in $(seq 200); do
    [ -e "$signal" ] && exec "$@"
    sleep 0.2
done
echo "nobody pressed the switch" >&2
exit 1
"""


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    directory = tmp_path_factory.mktemp("late")
    with real_site("late", directory, node_count=3, memory_mib=512) as scenario:
        switch = directory / "switch"
        switch.write_text(SWITCH)
        switch.chmod(0o755)
        profile = json.loads((directory / "profile.yaml").read_text())
        for name in ("power_on", "hard_reboot", "very_hard_reboot"):
            profile["commands"][name] = [str(switch), str(directory / "pressed"), *profile["commands"][name]]
        profile["reboot_ladder"] = ["hard", "very_hard"]
        (directory / "late.yaml").write_text(json.dumps(profile))
        scenario.administrator.run("ka", "cluster", "create", "late", "--profile", str(directory / "late.yaml"))
        scenario.administrator.run("ka", "node", "update", LATE, "--cluster", "late")
        yield scenario


def on_the_link(scenario: Scenario, *lines: str) -> None:
    """Runs commands of tc for the deployer's own link."""
    text = "".join(f"{line}\n" for line in lines).replace("LINK", BRIDGE)
    command = scenario.lab.exec_argv(["tc", "-batch", "-"])
    subprocess.run(command, input=text, text=True, check=True, timeout=20)


def slow_down(scenario: Scenario) -> None:
    """Makes the link slow for what is TCP and not SSH: the broadcast. Machines boot by UDP."""
    on_the_link(
        scenario,
        "qdisc add dev LINK root handle 1: htb default 1",
        "class add dev LINK parent 1: classid 1:1 htb rate 1gbit quantum 60000",
        f"class add dev LINK parent 1: classid 1:2 htb rate {SLOW_KBITS}kbit quantum 3000",
        "filter add dev LINK parent 1: protocol ip prio 1 u32 match ip dport 22 0xffff flowid 1:1",
        "filter add dev LINK parent 1: protocol ip prio 2 u32 match ip protocol 6 0xff flowid 1:2",
    )


def follow(scenario: Scenario) -> str:
    """Switches the late machine on when another has its first bytes, and makes the link fast when it has its own.

    Returns the id of the deployment.
    """
    pressed = False
    with open_channel(scenario.site.addresses["deployer"], caller=f"user:{USER}") as channel:
        stub = deployer_service_pb2_grpc.DeploymentServiceStub(channel)
        name = the_deployment(stub)
        for message in stub.WatchDeployment(deployer_service_pb2.WatchDeploymentRequest(id=name), timeout=BOUND):
            if not has_bytes(message.event):
                continue
            if not pressed:
                assert message.event.node != LATE
                (scenario.directory / "pressed").touch()
                pressed = True
            elif message.event.node == LATE:
                on_the_link(
                    scenario, f"class change dev LINK parent 1: classid 1:2 htb rate {LATER_KBITS}kbit quantum 3000"
                )
                return name
    raise AssertionError(f"the deployment {name} ended before {LATE} received anything")


def the_deployment(stub: deployer_service_pb2_grpc.DeploymentServiceStub) -> str:
    """Waits for the only deployment and returns its id."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if listed := stub.ListDeployments(deployer_service_pb2.ListDeploymentsRequest(), timeout=10).deployments:
            return listed[0].id
        time.sleep(0.2)
    raise AssertionError("kadeploy began no deployment")


def has_bytes(event: deployment_event_pb2.DeploymentEvent) -> bool:
    """Returns whether a node has a part of the image."""
    return event.step_progressed.step == "broadcast" and event.step_progressed.done > 0


@pytest.fixture(scope="module")
def shown(scenario: Scenario) -> dict[str, Any]:
    """The deployment, when it has ended."""
    slow_down(scenario)
    command = ["kadeploy", "-e", "tiny", "-p", "vda3", "-m", "node-[1-3]", "--partition-disk"]
    said = scenario.directory / "kadeploy.out"
    with said.open("w") as out:
        running = subprocess.Popen(
            scenario.user.argv(command), env=scenario.user.environment(), stdin=subprocess.DEVNULL, stdout=out
        )
        try:
            name = follow(scenario)
            assert running.wait(BOUND) == 0, said.read_text()
        finally:
            running.kill()
            running.wait(10)
    answer: dict[str, Any] = scenario.user.read_json("ka", "deployment", "show", name, "-o", "json")
    return answer


def test_all_three_are_deployed_and_answer(scenario: Scenario, shown: dict[str, Any]) -> None:
    assert {entry["node"]: entry["state"] for entry in shown["nodes"]} == dict.fromkeys(
        ("node-1", "node-2", LATE), "deployed"
    )
    for entry in shown["nodes"]:
        assert "root=PARTUUID=" in answer_in_time(scenario, entry).kernel_command_line


def test_the_late_machine_received_from_the_others(scenario: Scenario, shown: dict[str, Any]) -> None:
    assert shown["state"] == "terminated"
    log = scenario.site.log_file("deployer").read_text()
    given = {
        match["node"]: ast.literal_eval(match["upstreams"])
        for match in re.finditer(r"broadcast node ended node=(?P<node>\S+) .*upstreams=(?P<upstreams>\{.*?\})", log)
    }
    size = min(sum(parts.values()) for parts in given.values())
    # The late machine costs the deployer nothing.
    assert given[LATE].get("the deployer", 0) < 0.25 * size, given
