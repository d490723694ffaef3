"""kanodes and kastat answer version 3's questions: state, who deploys, last deployment; fields, filters, rates."""

import json
import shlex
from typing import Any

import click
import pytest

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2, operation_pb2
from kadeploy.inventory.v1 import node_pb2
from kadeploy3_cli.same_options import kanodes3, kastat3
from kadeploy_cli.history.kastat import kastat
from kadeploy_cli.nodes.classic_commands import kanodes
from tests.fakes.site import Run, Site

pytestmark = pytest.mark.integration

COMMANDS: dict[str, click.Command] = {
    "kanodes": kanodes,
    "kanodes3": kanodes3,
    "kastat": kastat,
    "kastat3": kastat3,
}
DAY = 86_400
FIRST = 1_764_000_000


def typed(run: Run, line: str) -> tuple[int, str, str]:
    name, *arguments = shlex.split(line)
    result = run(COMMANDS[name], arguments)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def cluster(site: Site) -> Site:
    """Four nodes: one deployed, one failed, one in a deployment, one in an operation."""
    states = (deployment_pb2.PARTITION_STATE_DEPLOYED, deployment_pb2.PARTITION_STATE_ERROR)
    for number in range(1, 6):
        name = f"node-{number}.site.example.org"
        site.inventory.nodes[name] = node_pb2.Node(name=name)
        if number > 3:
            continue
        state = states[number - 1] if number < 3 else deployment_pb2.PARTITION_STATE_DEPLOYING
        status = deployer_service_pb2.PartitionStatus(
            node=name, device="sda", partition=3, state=state, deployment_id=f"D-{number}", owner="alice"
        )
        status.environment.name, status.environment.version = "debian", number
        status.update_time.FromSeconds(FIRST)
        site.deployer.partitions.append(status)
    older = deployer_service_pb2.PartitionStatus(node="node-1.site.example.org", device="sda", partition=2)
    older.environment.name = "old"
    site.deployer.partitions.append(older)
    site.deployer.node_states = [
        deployer_service_pb2.NodeState(node="node-1.site.example.org", last_deployment_id="D-1"),
        deployer_service_pb2.NodeState(
            node="node-3.site.example.org", held_by="D-3", held_by_user="carol", last_deployment_id="D-3"
        ),
        deployer_service_pb2.NodeState(node="node-4.site.example.org", held_by="op-1", held_by_user="bob"),
    ]
    return site


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("name", ["kanodes", "kanodes3"])
def test_the_state_of_each_node_is_one_line(run: Run, name: str) -> None:
    code, out, _ = typed(run, f"{name} -s")
    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["NODE", "STATE", "USER", "LAST", "DEPLOYMENT", "ENVIRONMENT"],
        ["node-1", "deployed", "alice", "D-1", "debian", "1"],
        ["node-2", "error", "alice", "D-2", "debian", "2"],
        ["node-3", "deploying", "carol", "D-3", "debian", "3"],
        ["node-4", "busy", "bob", "-", "-"],
        ["node-5", "-", "-", "-", "-"],
    ]
    assert max(len(line) for line in out.splitlines()) <= 80
    code, out, _ = typed(run, f"{name} --get-nodes-state -m node-[3-4] -o json")
    found: list[dict[str, Any]] = json.loads(out)
    assert [(each["node"], each["held_by"]) for each in found] == [
        ("node-3.site.example.org", "D-3"),
        ("node-4.site.example.org", "op-1"),
    ]
    assert typed(run, f"{name} -s -m node-9")[0] == 4


def test_what_is_under_way_is_shown(cluster: Site, run: Run) -> None:
    cluster.deployer.deployments["D-3"] = deployment = deployment_pb2.Deployment(
        id="D-3", state=deployment_pb2.DEPLOYMENT_STATE_DEPLOYING, owner="carol"
    )
    deployment.environment.name, deployment.environment.version = "debian", 3
    for node, state in (("a", "DEPLOYED"), ("b", "ERROR"), ("c", "DEPLOYING"), ("d", "UNSPECIFIED")):
        deployment.nodes.add(node=node, state=deployment_pb2.PartitionState.Value(f"PARTITION_STATE_{state}"))
    lines = typed(run, "kanodes -d")[1].splitlines()
    assert lines[1].split() == ["D-3", "carol", "deploying", "debian", "3", "1", "2", "1"]
    assert typed(run, "kanodes3 -w D-3")[1].splitlines() == lines
    assert typed(run, "kanodes3 -d -w D-9")[0] == 4
    assert typed(run, "kanodes -r")[1].splitlines()[1].split() == ["op-1", "bob", "node-4.site.example.org"]
    assert len(typed(run, "kanodes -p -m node-1")[1].splitlines()) == 1
    both = json.loads(typed(run, "kanodes -a -o json")[1])
    assert ([each["id"] for each in both["deployments"]], both["operations"][0]["id"]) == (["D-3"], "op-1")


def a_deployment(number: int, nodes: dict[str, str], *, owner: str = "alice") -> deployment_pb2.Deployment:
    """A deployment of the number-th day; what became of each node: nothing for good, or why it failed."""
    deployment = deployment_pb2.Deployment(id=f"D-{number}", owner=owner)
    deployment.create_time.FromSeconds(FIRST + number * DAY)
    deployment.environment.name, deployment.environment.version = "debian", number
    for name, error in nodes.items():
        node = deployment.nodes.add(node=name, description=error)
        node.state = deployment_pb2.PARTITION_STATE_ERROR if error else deployment_pb2.PARTITION_STATE_DEPLOYED
        for step, seconds, attempts in (
            ("boot_deployment_environment", 60, 2 if error else 1),
            ("format", 5, 1),
            ("broadcast", 20, 1),
            ("keys", 1, 1),
            ("boot_new_system", 40, 1),
        ):
            node.step_durations.add(step=step, attempts=attempts).duration.FromSeconds(seconds)
    deployment.nodes.add(node="node-9", description="busy")
    return deployment


@pytest.fixture
def history(site: Site) -> Site:
    made = [
        a_deployment(1, {"node-1": "", "node-2": "no disk"}),
        a_deployment(2, {"node-1": "", "node-2": ""}, owner="bob"),
        a_deployment(3, {"node-10": "", "node-2": "not there on last check"}),
    ]
    site.deployer.deployments.update({each.id: each for each in made})
    return site


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-F hostname,wid", ["node-10 D-3", "node-2 D-3", "node-1 D-2", "node-2 D-2", "node-1 D-1", "node-2 D-1"]),
        ("-f hostname -f success -m node-2", ["node-2 false", "node-2 true", "node-2 false"]),
        ("-F hostname,wid --sort hostname,-wid -m node-[1-2]", ["node-1 D-2", "node-1 D-1", *("node-2 D-3",)]),
        ("-F hostname,wid --limit 1", ["node-10 D-3"]),
        ("-F hostname -w D-2", ["node-1", "node-2"]),
        ("-F hostname,retry_step1 -r 1", ["node-2 1", "node-2 1"]),
        ("-F hostname -a 1 -s 1", ["node-2", "node-2"]),
        ("-F hostname -a 3 -s 1", []),
        ("-F hostname -r 1 -s 2,3", []),
        ("-F step1,step2,step3 -w D-2 -m node-1", ["SetDeploymentEnvUntrusted BroadcastEnvChain BootNewEnvClassical"]),
        ("-F step1_duration,step2_duration,step3_duration -w D-2 -m node-1", ["65 21 40"]),
        ("-F user,env,error -w D-1 -m node-2", ["alice debian:1 no disk"]),
    ],
)
def test_rows_fields_filters_and_order(run: Run, line: str, expected: list[str]) -> None:
    for name in ("kastat", "kastat3"):
        code, out, err = typed(run, f"{name} {line}")
        rows = [" ".join(row.split()) for row in out.splitlines()[1:]]
        assert (code, rows[: len(expected)]) == (0, expected), err
        assert expected or not rows


@pytest.mark.usefixtures("history")
def test_days_bound_the_history(run: Run) -> None:
    def named(line: str) -> list[str]:
        return sorted(set(typed(run, f"kastat -F wid {line}")[1].split()) - {"WID"})

    # In the middle of the days, whatever the zone.
    second = "2025-11-26"
    assert named(f"-x '{second} 00:00'") in (["D-2", "D-3"], ["D-3"])
    assert named(f"-y {second}") in (["D-1"], ["D-1", "D-2"])
    assert named("-x 2030-01-01 -y 2030-01-02") == []
    assert typed(run, "kastat -x 2030-01-02 -y 2030-01-01")[0] == 2


@pytest.mark.usefixtures("history")
def test_one_line_each_of_80_columns_and_rates(run: Run) -> None:
    out = typed(run, "kastat3")[1].splitlines()
    assert out[0].split() == ["HOSTNAME", "USER", "ENV", "START", "SECONDS", "SUCCESS"]
    assert len(out) == 7
    assert max(len(line) for line in out) <= 80
    rates = [line.split() for line in typed(run, "kastat3 -b --sort -rate")[1].splitlines()[1:]]
    assert rates[0] == ["node-2", "2", "of", "3", "66.67", "%"]
    assert {row[0] for row in rates} == {"node-1", "node-2", "node-10"}
    every = typed(run, "kastat3 -d -m node-2")[1].splitlines()
    assert every[0].split()[:3] == ["WID", "USER", "HOSTNAME"]
    data = json.loads(typed(run, "kastat3 -b --output json")[1])
    assert data[0] == {"hostname": "node-1", "deployments": 2, "failures": 0, "failure_rate": 0.0}


def test_reboots_and_power_changes_have_rows_too(site: Site, run: Run) -> None:
    made = operation_pb2.Operation(id="op-1", kind=operation_pb2.OPERATION_KIND_REBOOT, owner="alice")
    made.create_time.FromSeconds(FIRST)
    done, failed = operation_pb2.OPERATION_NODE_STATE_DONE, operation_pb2.OPERATION_NODE_STATE_ERROR
    for name, state in (("node-1", done), ("node-2", failed)):
        node = made.node_states.add(node=name, state=state, description="" if state == done else "not there")
        node.start_time.FromSeconds(FIRST)
        node.end_time.FromSeconds(FIRST + 90)
    made.node_states.add(node="node-3", state=failed, description="held by deployment D-0")
    site.deployer.control.operations["op-1"] = made
    site.deployer.control.names["op-1"] = "request"
    rows = [line.split() for line in typed(run, "kastat3 -o reboot -F hostname,wid,success,error")[1].splitlines()[1:]]
    assert rows == [["node-1", "op-1", "true"], ["node-2", "op-1", "false", "not", "there"]]
    assert typed(run, "kastat3 -o reboot -m node-1")[1].splitlines()[1].split()[-2:] == ["90", "true"]
    assert len(typed(run, "kastat3 -o power")[1].splitlines()) == 1
    assert "node-2    1 of 1" in typed(run, "kastat -o reboot -b")[1]
    assert typed(run, "kastat3 -o reboot -w op-9")[0] == 4


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("kastat3 -F colour", "The fields are wid"),
        ("kastat3 --sort colour", "is no field"),
        ("kastat3 -s 4", "macro-steps"),
        ("kastat3 -a many", "number of retries"),
        ("kastat3 -x yesterday", "is no moment"),
        ("kastat3 -c 10", "-b shows the failure rate"),
        ("kastat3 -V 1", "-V"),
        ("kastat -V -d", "stands alone"),
        ("kanodes -s -d", "one of -s"),
        ("kanodes -s -w D-1", "-w goes with -d"),
        ("kanodes -c", "-c"),
    ],
)
def test_what_has_no_answer_is_refused(run: Run, line: str, word: str) -> None:
    code, out, err = typed(run, line)
    assert (code, out, word in err) == (2, "", True), err
