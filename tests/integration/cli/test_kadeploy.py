"""kadeploy from the user's side: what is asked of the deployer, what is shown, how it ends."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kadeploy.deployer.v1 import deployment_pb2
from kadeploy_cli.deployments.classic_commands import kadeploy
from kadeploy_cli.ka import ka
from tests.fakes.site import Run, Site

pytestmark = pytest.mark.integration

PATIENCE = 10.0


def test_kadeploy_of_good_nodes_reports_each_and_exits_with_0(run: Run) -> None:
    result = run(kadeploy, ["-e", "debian", "-m", "node-[1-2]", "-p", "3"])
    assert result.exit_code == 0, result.output
    assert [line.split() for line in result.stdout.splitlines()[:3]] == [
        ["Node", "State", "Error", "description"],
        ["node-1", "deployed"],
        ["node-2", "deployed"],
    ]
    assert "D-1 terminated in 60 s: 2 of 2 nodes deployed" in result.stdout
    assert "boot deployment environment" in result.stdout
    assert "node-1: boot deployment environment ..." in result.stderr
    assert "node-2: broadcast 50 % of 40 MiB" in result.stderr
    assert "deployment: unlocking the nodes" in result.stderr


def test_an_environment_is_named_alone_or_described_by_a_file(site: Site, run: Run, tmp_path: Path) -> None:
    assert run(kadeploy, ["debian", "-m", "node-1"]).exit_code == 0
    assert site.deployer.requests[-1].spec.environment_name == "debian"
    (tmp_path / "image.tgz").write_bytes(b"image")
    file = tmp_path / "mine.dsc"
    text = "name: mine\nos: linux\nimage: {file: image.tgz, kind: tar, compression: gzip}\nboot: {kernel: /k}\n"
    file.write_text(f"{text}filesystem: ext4\n")
    assert run(kadeploy, ["-a", str(file), "-m", "node-1"]).exit_code == 0
    spec = site.deployer.requests[-1].spec
    assert (spec.environment_name, spec.described_environment.name) == ("", "mine")
    assert spec.described_environment.image.size_bytes == 5
    for words in (["-e", "debian", "mine"], ["-a", str(file), "debian"], ["-a", str(file), "-l", "root"], []):
        refused = run(kadeploy, [*words, "-m", "node-1"])
        assert (refused.exit_code, refused.stdout) == (2, "")


def test_without_nodes_those_of_the_job_are_taken(
    site: Site, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("OAR_NODEFILE", "OAR_NODE_FILE", "SLURM_JOB_NODELIST"):
        monkeypatch.delenv(variable, raising=False)
    assert run(kadeploy, ["debian"]).exit_code == 2
    # OAR names a node once for each of its cores.
    (tmp_path / "nodes").write_text("node-1\nnode-1\nnode-2\n")
    monkeypatch.setenv("OAR_NODEFILE", str(tmp_path / "nodes"))
    result = run(kadeploy, ["debian"])
    assert (result.exit_code, site.deployer.requests[-1].spec.nodes) == (0, "node-[1-2]")
    assert "those of the job are taken, node-[1-2]" in result.stderr
    monkeypatch.delenv("OAR_NODEFILE")
    monkeypatch.setenv("SLURM_JOB_NODELIST", "node-[1-2]")
    assert run(kadeploy, ["debian"]).exit_code == 0
    assert run(kadeploy, ["debian", "-m", "node-2"]).exit_code == 0
    assert site.deployer.requests[-1].spec.nodes == "node-2"


def test_kadeploy_hands_every_option_on(site: Site, run: Run, tmp_path: Path) -> None:
    key = tmp_path / "key.pub"
    key.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI me@here\n")
    nodes = tmp_path / "nodes"
    nodes.write_text("# two\nnode-2 node-3\n")
    arguments = ["-e", "debian", "-l", "root", "--env-version", "4", "-m", "node-1", "-f", str(nodes), "-p", "vda5"]
    arguments += ["--partition-disk", "-k", str(key), "-r", "ext4", "-F", "-u"]
    arguments += ["--busy", "wait", "--wait-timeout", "2.5"]
    arguments += ["--timeout-first", "100", "--timeout-last", "200"]
    assert run(kadeploy, arguments).exit_code == 0
    spec = site.deployer.requests[0].spec
    assert spec.nodes == "node-[1-3]"
    assert (spec.environment_owner, spec.environment_version, spec.device, spec.partition) == ("root", 4, "vda", 5)
    assert spec.write_partition_table
    assert spec.use_production_system
    assert spec.boot_method == deployment_pb2.BOOT_METHOD_KEXEC
    assert spec.busy_policy == deployment_pb2.BUSY_POLICY_WAIT
    assert spec.wait_timeout.ToTimedelta().total_seconds() == 2.5
    assert list(spec.authorized_keys) == ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI me@here"]
    assert (spec.first_check_timeout.seconds, spec.last_check_timeout.seconds, spec.reformat_tmp) == (100, 200, "ext4")


def test_a_failed_node_makes_it_partial_and_says_why(site: Site, run: Run, tmp_path: Path) -> None:
    site.deployer.failing = {"node-2": "mkfs.ext4 ended with 1: no space"}
    good, bad = tmp_path / "ok", tmp_path / "nok"
    result = run(kadeploy, ["-e", "debian", "-m", "node-[1-3]", "-o", str(good), "-n", str(bad)])
    assert result.exit_code == 6
    assert "node-2  error     mkfs.ext4 ended with 1: no space" in result.stdout
    assert "node-2: format failed" in result.stderr
    assert good.read_text().split() == ["node-1", "node-3"]
    assert bad.read_text().split() == ["node-2"]


def test_every_node_failing_is_exit_status_1(site: Site, run: Run) -> None:
    site.deployer.failing = {"node-1": "no disk"}
    assert run(kadeploy, ["-e", "debian", "-m", "node-1"]).exit_code == 1


def test_a_busy_node_that_is_left_out_makes_it_partial(site: Site, run: Run) -> None:
    site.deployer.busy = {"node-2"}
    result = run(kadeploy, ["-e", "debian", "-m", "node-[1-2]"])
    assert result.exit_code == 6
    assert "held by deployment D-0" in result.stdout
    refused = run(kadeploy, ["-e", "debian", "-m", "node-[1-2]", "--busy", "fail"])
    assert refused.exit_code == 5
    assert "NODES_BUSY" in refused.stderr


def test_json_is_one_document_with_everything(run: Run) -> None:
    result = run(kadeploy, ["-e", "debian", "-m", "node-1", "--output", "json"])
    document = json.loads(result.stdout)
    assert document["state"] == "terminated"
    assert document["nodes"][0]["boot_id"] == "boot-of-node-1"
    assert document["nodes"][0]["step_durations"][0] == {
        "step": "boot_deployment_environment",
        "duration": 1.5,
        "attempts": 1,
    }


def test_300_nodes_are_at_most_60_lines_away_from_a_terminal(run: Run) -> None:
    result = run(kadeploy, ["-e", "debian", "-m", "node-[1-300]"])
    assert result.exit_code == 0, result.output
    assert len(result.output.splitlines()) <= 60
    assert "node-[1-300]: format done, median " in result.stderr
    assert "300 of 300 nodes deployed" in result.stdout


@pytest.mark.parametrize("command", ["kadeploy", "watch"])
def test_ndjson_is_a_line_for_each_event_as_it_happens(site: Site, run: Run, command: str) -> None:
    site.deployer.failing = {"node-2": "no space"}
    arguments = ["-e", "debian", "-m", "node-[1-2]"]
    if command == "kadeploy":
        result = run(kadeploy, [*arguments, "--output", "ndjson"])
    else:
        assert run(kadeploy, [*arguments, "--detach"]).exit_code == 0
        result = run(ka, ["deployment", "watch", "D-1", "-o", "ndjson"])
    assert result.exit_code == 6
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines[0]["kind"] == "snapshot"
    assert lines[0]["deployment"]["id"] == "D-1"
    assert lines[-1]["kind"] == "result"
    assert lines[-1]["deployment"]["state"] == "error"
    failed = next(line for line in lines if line["kind"] == "step_ended" and not line["succeeded"])
    assert (failed["node"], failed["step"], failed["description"]) == ("node-2", "format", "no space")
    assert failed["time"].startswith("2023-11-14T22:13:")
    assert [line["sequence"] for line in lines[1:-1]] == list(range(1, len(lines) - 1))


def test_an_error_is_json_where_the_result_is(site: Site, run: Run) -> None:
    site.deployer.busy = {"node-2"}
    result = run(kadeploy, ["-e", "debian", "-m", "node-[1-2]", "--busy", "fail", "--output", "json"])
    error = json.loads(result.stderr)["error"]
    assert result.exit_code == error["exit_status"] == 5
    assert error["reason"] == "NODES_BUSY"
    assert "node-2 is held by deployment D-0" in error["message"]
    assert error["advice"]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["deployment", "show", "-o", "json"], 2, "Missing argument 'ID'"),
        (["deployment", "show", "D-1", "--output=json", "--nothing"], 2, "No such option"),
        (["deployment", "show", "D-9", "-o", "json"], 4, "there is no deployment D-9"),
    ],
)
def test_errors_of_a_process_are_json_too(site: Site, arguments: list[str], status: int, words: str) -> None:
    program = Path(sys.executable).with_name("ka")
    ended = subprocess.run(
        [str(program), *arguments],
        env={**os.environ, "KADEPLOY_CONFIG": str(site.client_file)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (status, "")
    error = json.loads(ended.stderr)["error"]
    assert words in error["message"]
    assert error["exit_status"] == status


def test_the_script_runs_afterwards_and_knows_the_nodes(site: Site, run: Run, tmp_path: Path) -> None:
    site.deployer.failing = {"node-2": "broken"}
    script, told = tmp_path / "after", tmp_path / "told"
    script.write_text(f'#!/bin/sh\necho "$KADEPLOY_DEPLOYMENT:$KADEPLOY_NODES_OK:$KADEPLOY_NODES_KO" > {told}\n')
    refused = run(kadeploy, ["-e", "debian", "-m", "node-1", "-s", str(script)])
    assert refused.exit_code == 2
    assert not site.deployer.requests
    script.chmod(0o755)
    assert run(kadeploy, ["-e", "debian", "-m", "node-[1-2]", "-s", str(script)]).exit_code == 6
    assert told.read_text() == "D-1:node-1:node-2\n"


def test_a_broken_stream_is_resumed_by_sequence_and_said_once(site: Site, run: Run) -> None:
    site.deployer.breaks = [3, 5]
    result = run(kadeploy, ["-e", "debian", "-m", "node-[1-2]"])
    assert result.exit_code == 0, result.output
    assert site.deployer.watched_from == [0, 3, 5]
    assert result.stderr.count("lost the deployer at unix:") == 2
    assert result.stderr.count("the deployer answers again") == 2
    assert result.stderr.count("node-1: boot deployment environment done") == 1


def test_a_history_that_is_gone_begins_again_with_a_snapshot(site: Site, run: Run) -> None:
    site.deployer.breaks, site.deployer.gone = [4], [4]
    result = run(kadeploy, ["-e", "debian", "-m", "node-1"])
    assert result.exit_code == 0, result.output
    assert site.deployer.watched_from == [0, 4, 0]


def test_an_answer_that_is_lost_does_not_deploy_twice(site: Site, run: Run) -> None:
    site.deployer.lost_answers = 1
    assert run(kadeploy, ["-e", "debian", "-m", "node-1"]).exit_code == 0
    assert list(site.deployer.deployments) == ["D-1"]


def test_an_interrupt_away_from_a_terminal_cancels_and_reports(site: Site, run: Run) -> None:
    site.deployer.hold.clear()

    def interrupt() -> None:
        deadline = time.monotonic() + PATIENCE
        while not site.deployer.watched_from and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    helper = threading.Thread(target=interrupt)
    helper.start()
    result = run(kadeploy, ["-e", "debian", "-m", "node-[1-2]"])
    helper.join()
    assert result.exit_code == 1
    assert "cancelling" in result.stderr
    assert "cancelled in broadcast" in result.stdout
    assert site.deployer.requests[-1].reason == "interrupted by its user"


def test_an_interrupt_of_a_watch_leaves_the_deployment_alone(site: Site, run: Run) -> None:
    site.deployer.hold.clear()
    assert run(kadeploy, ["-e", "debian", "-m", "node-1", "--detach"]).exit_code == 0

    def interrupt() -> None:
        deadline = time.monotonic() + PATIENCE
        while not site.deployer.watched_from and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    helper = threading.Thread(target=interrupt)
    helper.start()
    result = run(ka, ["deployment", "watch", "D-1"])
    helper.join()
    assert result.exit_code == 130
    assert "the deployment goes on" in result.stderr
    assert len(site.deployer.requests) == 1


def test_detach_prints_the_id_and_watch_follows_it(run: Run) -> None:
    detached = run(ka, ["deployment", "start", "-e", "debian", "-m", "node-1", "-o", "name"])
    assert detached.stdout == "D-1\n"
    watched = run(ka, ["deployment", "watch", "D-1"])
    assert watched.exit_code == 0
    assert "node-1  deployed" in watched.stdout
    shown = run(ka, ["deployment", "show", "D-1"]).stdout
    assert "boot-of-node-1" in shown
    assert "sha256:aaaa" in shown
    assert "D-1" in run(ka, ["deployment", "list"]).stdout
    assert "writing fstab" in run(ka, ["deployment", "output", "D-1", "node-1"]).stdout
    assert run(ka, ["deployment", "cancel", "D-1"]).exit_code == 5
    assert run(ka, ["deployment", "show", "D-9"]).exit_code == 4


def test_the_plan_touches_nothing_and_says_who_is_left_out(site: Site, run: Run) -> None:
    site.deployer.busy = {"node-2"}
    result = run(kadeploy, ["-e", "debian", "-m", "node-[1-2]", "--plan"])
    assert result.exit_code == 6
    assert "node-1 would be deployed" in result.stdout
    assert "node-2 would be left out: busy (held by D-0)" in result.stdout
    # The same text under all of its names, once.
    assert result.stdout.count("DEFAULT deploy") == 1
    assert "    writes pxelinux.cfg/01-52:\n    writes pxelinux.cfg/AC1F000B:\n" in result.stdout
    assert "boot method: network" in result.stdout
    assert not site.deployer.deployments


def test_kadeploy_without_nodes_is_a_usage_error(site: Site, run: Run) -> None:
    result = run(kadeploy, ["-e", "debian"])
    assert result.exit_code == 2
    assert "no node is named" in result.stderr
    assert not site.deployer.requests


def test_a_user_whose_turn_has_not_come_is_told_whom_he_waits_for(
    run: Run, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kadeploy_cli.deployments.creation.LOOK_SECONDS", 0.05)
    site.deployer.deployments["D-7"] = deployment_pb2.Deployment(
        id="D-7",
        owner="bob",
        state=deployment_pb2.DEPLOYMENT_STATE_WAITING,
        spec=deployment_pb2.DeploymentSpec(nodes="node-[2-3]"),
    )
    site.deployer.turn.clear()
    result = run(kadeploy, ["-e", "debian", "-m", "node-1", "--wait-timeout", "30"])
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("first, deployment D-7 of bob waits for its own (node-[2-3])") == 1


def test_ctrl_c_in_the_queue_gives_the_place_up(site: Site) -> None:
    from tests.integration.cli.test_processes import finish, start  # noqa: PLC0415

    site.deployer.turn.clear()
    process = start("kadeploy", "-e", "debian", "-m", "node-1", "--wait-timeout", "60", config=str(site.client_file))
    assert site.deployer.asked.wait(60)
    process.send_signal(signal.SIGINT)
    status, _, err = finish(process)
    site.deployer.turn.set()
    assert status == 130, err
    assert "its place in the queue is given up" in err


@pytest.mark.parametrize("wanted", ["2", "50%", "60%"])
def test_waiting_for_some_ends_when_they_are_deployed_and_the_rest_goes_on(
    site: Site, run: Run, tmp_path: Path, wanted: str
) -> None:
    site.deployer.failing = {"node-2": "no disk"}
    site.deployer.hold.clear()
    good, bad = tmp_path / "ok", tmp_path / "nok"
    arguments = ["-e", "debian", "-m", "node-[1-3]", "--wait-for", wanted, "-o", str(good), "-n", str(bad)]
    result = run(kadeploy, arguments)
    assert result.exit_code == 0, result.output
    assert "2 nodes are deployed; the deployment goes on; `ka deployment watch D-1` follows it again" in result.stderr
    assert site.deployer.deployments["D-1"].state == deployment_pb2.DEPLOYMENT_STATE_DEPLOYING
    assert good.read_text().split() == ["node-1", "node-3"]
    assert bad.read_text().split() == ["node-2"]


@pytest.mark.parametrize(("wanted", "status"), [("66%", 0), ("2", 0), ("67%", 6), ("3", 6), ("100%", 6)])
def test_the_exit_status_says_whether_as_many_are_deployed_as_were_asked_for(
    site: Site, run: Run, wanted: str, status: int
) -> None:
    site.deployer.busy = {"node-2"}
    assert run(kadeploy, ["-e", "debian", "-m", "node-[1-3]", "--wait-for", wanted]).exit_code == status


@pytest.mark.parametrize("wanted", ["0", "0%", "101%", "many", "-1", "1.5", ""])
def test_a_number_that_cannot_be_waited_for_is_refused_before_anything_is_deployed(
    site: Site, run: Run, wanted: str
) -> None:
    result = run(kadeploy, ["-e", "debian", "-m", "node-1", "--wait-for", wanted])
    assert result.exit_code == 2
    assert "--wait-for" in result.stderr
    assert not site.deployer.requests


def test_a_node_stands_in_its_file_at_the_moment_when_it_is_deployed(site: Site, tmp_path: Path) -> None:
    site.deployer.hold.clear()
    good = tmp_path / "ok"
    program = Path(sys.executable).with_name("kadeploy")
    arguments = [str(program), "-e", "debian", "-m", "node-[1-2]", "-o", str(good)]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + PATIENCE
        while not good.exists() or good.read_text().split() != ["node-1", "node-2"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert process.poll() is None
        site.deployer.hold.set()
        assert process.wait(PATIENCE) == 0
