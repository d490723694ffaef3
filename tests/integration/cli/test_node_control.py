"""kareboot, kapower, karemote, kaaddkeys, kaconsole and kastats, against a deployer that only says so."""

import json
import signal
from pathlib import Path

import pytest

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy_cli.ka import ka
from kadeploy_cli.operations.classic_commands import kaaddkeys, kaconsole, kapower, kareboot, karemote, kastats
from tests.fakes.site import Run, Site

pytestmark = pytest.mark.integration

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAA alice@desk"


def test_a_reboot_says_what_became_of_each_node_and_writes_the_lists(run: Run, site: Site, tmp_path: Path) -> None:
    site.deployer.control.busy = {"node-2"}
    good, bad = tmp_path / "good", tmp_path / "bad"
    result = run(kareboot, ["-m", "node-[1-3]", "-o", str(good), "--output-ko-nodes", str(bad)])
    assert result.exit_code == 6, result.stderr
    assert result.stdout.splitlines() == [
        "NODE    RESULT",
        "node-1  ok",
        "node-2  node-2 is held by deployment D-0 (NODE_BUSY)",
        "node-3  ok",
    ]
    # While it goes on, each step and each end of a node is a line.
    assert result.stderr.splitlines()[:7] == [
        "operation op-1: reboot on node-[1-3]",
        "         -  node-2: error: node-2 is held by deployment D-0",
        "    2.0 s  node-1: reboot ...",
        "    3.0 s  node-1: done",
        "    6.0 s  node-3: reboot ...",
        "    7.0 s  node-3: done",
        "    8.0 s  operation: error",
    ]
    assert (good.read_text(), bad.read_text()) == ("node-1\nnode-3\n", "node-2\n")
    assert "ka deployment list" in result.stderr
    request = site.deployer.control.requests[0]
    assert (request.WhichOneof("target"), request.level) == ("simple", deployer_service_pb2.CONTROL_LEVEL_UNSPECIFIED)


def test_an_answer_that_breaks_off_is_asked_for_again_under_the_same_name(run: Run, site: Site) -> None:
    site.deployer.control.breaks = site.deployer.control.watch_breaks = 2
    result = run(kareboot, ["-m", "node-[1-3]"])
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("lost the deployer") == 2
    assert result.stderr.count("node-1: done") == 1
    assert [line.split() for line in result.stdout.splitlines()[1:]] == [[f"node-{n}", "ok"] for n in (1, 2, 3)]
    requests = site.deployer.control.requests
    assert len(requests) == 3
    assert len({request.request_id for request in requests}) == 1


def test_a_deployer_that_was_never_reached_is_told_at_once(run: Run, site: Site, tmp_path: Path) -> None:
    del site
    config = tmp_path / "nobody.toml"
    config.write_text('insecure = true\n[deployer]\naddress = "127.0.0.1:1"\n')
    result = run(kareboot, ["-m", "node-1", "--config", str(config)])
    assert result.exit_code == 3
    assert "the deployer service does not answer at 127.0.0.1:1" in result.stderr
    assert "asking again" not in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_the_operation_and_says_how_far_it_was(site: Site, number: signal.Signals) -> None:
    from tests.integration.cli.test_processes import finish, start  # noqa: PLC0415

    site.deployer.control.hold = True
    process = start("kareboot", "-m", "node-[1-2]", config=str(site.client_file))
    assert site.deployer.control.waiting.wait(60)
    process.send_signal(number)
    status, out, err = finish(process)
    assert status == 130, err
    assert out.splitlines()[1:] == ["node-1  ok", "node-2  node-2 was left alone (OPERATION_STOPPED)"]
    first, stop = site.deployer.control.requests
    assert (first.detached, stop.DESCRIPTOR.name, stop.id) == (True, "CancelOperationRequest", "op-1")


def test_the_options_of_a_reboot_say_what_is_booted_and_how(run: Run, site: Site) -> None:
    for arguments in (
        ["-d", "--label", "rescue", "-s"],
        ["-e", "debian", "--env-version", "3", "-l", "bob", "-h"],
        ["-p", "/dev/vda3", "-kp", "single", "-n"],
        ["-p", "2", "--very-hard", "--boot-method", "chainload"],
        ["-e", "debian", "--grub"],
    ):
        assert run(kareboot, ["-m", "node-1", *arguments]).exit_code == 0
    kernel, environment, partition, number, grub = site.deployer.control.requests
    assert (kernel.deployment_kernel.label, kernel.level) == ("rescue", deployer_service_pb2.CONTROL_LEVEL_SOFT)
    assert (environment.environment.name, environment.environment.version) == ("debian", 3)
    assert (environment.environment.owner, environment.level) == ("bob", deployer_service_pb2.CONTROL_LEVEL_HARD)
    assert (partition.partition.device, partition.partition.partition) == ("vda", 3)
    assert (partition.kernel_arguments, partition.prepare_only) == ("single", True)
    assert (number.partition.device, number.level) == ("", deployer_service_pb2.CONTROL_LEVEL_VERY_HARD)
    assert (environment.boot_method, number.boot_method, grub.boot_method) == (
        deployment_pb2.BOOT_METHOD_UNSPECIFIED,
        deployment_pb2.BOOT_METHOD_CHAINLOAD,
        deployment_pb2.BOOT_METHOD_GRUB,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["-d", "-p", "3"],
        ["-s", "-h"],
        ["-n", "-s"],
        ["--label", "x"],
        ["-l", "bob"],
        ["-p", "vda"],
        ["--grub"],
        ["-d", "--boot-method", "network"],
        ["-p", "3", "--grub", "--boot-method", "network"],
        ["-p", "3", "--boot-method", "kexec"],
    ],
)
def test_options_that_exclude_each_other_are_refused(run: Run, site: Site, arguments: list[str]) -> None:
    assert run(kareboot, ["-m", "node-1", *arguments]).exit_code == 2
    assert site.deployer.control.requests == []


def test_power_is_switched_and_shown(run: Run, site: Site) -> None:
    site.deployer.control.off = {"node-2"}
    assert run(kapower, ["--cycle", "-m", "node-1"]).exit_code == 0
    assert site.deployer.control.requests[0].action == deployer_service_pb2.POWER_ACTION_CYCLE
    assert run(kapower, ["--status", "-m", "node-[1-2]"]).stdout.splitlines()[1:] == ["node-1  on", "node-2  off"]
    shown = json.loads(run(ka, ["node", "power", "node-[1-2]", "status", "-o", "json"]).stdout)
    assert [(one["node"], one["power"]) for one in shown] == [("node-1", "on"), ("node-2", "off")]
    assert run(kapower, ["--on", "--off", "-m", "node-1"]).exit_code == 2
    for command in ([kapower, "--status", "-m", "node-1"], [ka, "node", "power", "node-1", "status"]):
        lists = run(command[0], [*command[1:], "--output-ok-nodes", "good"])
        assert (lists.exit_code, "say nothing" in lists.stderr) == (2, True)
    assert run(ka, ["node", "power", "node-1", "off", "-l", "soft"]).exit_code == 0
    assert site.deployer.control.requests[-1].level == deployer_service_pb2.CONTROL_LEVEL_SOFT


def test_each_line_of_a_command_has_its_node_before_it(run: Run, site: Site) -> None:
    site.deployer.control.exits = {"node-2": 3}
    result = run(karemote, ["-m", "node-[1-2]", "-c", "ls | wc", "--timeout", "5"])
    assert result.exit_code == 6
    assert result.stdout == ("node-1: first of node-1\nnode-1: last\nnode-2: first of node-2\nnode-2: last\n")
    assert "node-1: warning\n" in result.stderr
    assert result.stderr.endswith("1 of 2 nodes OK; failed: node-2: exit 3\n")
    request = site.deployer.control.requests[0]
    assert (list(request.arguments), request.timeout.seconds) == (["sh", "-c", "ls | wc"], 5)


def test_a_command_that_failed_everywhere_and_one_that_was_refused_have_their_status(run: Run, site: Site) -> None:
    site.deployer.control.exits = {"node-1": 1}
    assert run(karemote, ["-m", "node-1"]).exit_code == 1
    site.deployer.control.busy = {"node-1"}
    assert run(karemote, ["-m", "node-1"]).exit_code == 5
    site.deployer.control.denied = True
    denied = run(karemote, ["-m", "node-1"])
    assert (denied.exit_code, "RIGHT_MISSING" in denied.stderr) == (5, True)


def test_a_program_is_run_without_a_shell_and_told_as_json(run: Run, site: Site) -> None:
    result = run(ka, ["node", "run", "node-1", "-o", "json", "--", "ls", "-l", "a b"])
    assert list(site.deployer.control.requests[0].arguments) == ["ls", "-l", "a b"]
    (told,) = json.loads(result.stdout)
    assert (told["node"], told["exit_status"], told["output"]) == ("node-1", 0, "first of node-1\nlast")


def test_keys_are_sent_as_input_and_never_as_part_of_a_command(run: Run, site: Site, tmp_path: Path) -> None:
    file = tmp_path / "key.pub"
    file.write_text(f"{KEY}\n")
    assert run(kaaddkeys, ["-m", "node-1", "-k", str(file)]).exit_code == 0
    request = site.deployer.control.requests[0]
    assert request.input == f"{KEY}\n".encode()
    assert KEY not in " ".join(request.arguments)
    file.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert run(kaaddkeys, ["-m", "node-1", "-k", str(file)]).exit_code == 2


def test_a_console_without_a_terminal_types_stdin(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    # Needs a real stdin, so it runs as a process: see test_terminal.py for one with a terminal.
    del monkeypatch
    from tests.integration.cli.test_processes import finish, start  # noqa: PLC0415

    site.deployer.control.denied = True
    status, out, err = finish(start("kaconsole", "-m", "node-1", config=str(site.client_file)))
    assert (status, out) == (5, "")
    assert "RIGHT_MISSING" in err


def test_a_console_is_of_one_node(run: Run) -> None:
    assert run(kaconsole, ["-m", "node-[1-2]"]).exit_code == 2


def test_the_history_is_shown_per_month_node_and_step(run: Run, site: Site) -> None:
    months = [
        deployer_service_pb2.MonthStatistics(year=2026, month=10, deployments=4, failed_deployments=1, nodes=10),
        deployer_service_pb2.MonthStatistics(year=2026, month=11, deployments=1, nodes=2),
    ]
    site.deployer.statistics.months.extend(months)
    site.deployer.statistics.nodes.add(node="node-1", deployments=3, failures=1)
    step = site.deployer.statistics.steps.add(step="boot_files", count=12, failures=1)
    step.median_duration.FromMilliseconds(1500)
    result = run(kastats, ["--since", "2026-10", "-m", "node-1"])
    assert result.exit_code == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["2026-10", "4", "1", "10", "2.5"] in lines
    assert ["total", "5", "1", "12", "2.4"] in lines
    assert ["node-1", "3", "1", "33.3", "%"] in lines
    assert ["boot", "files", "12", "1", "1.5", "s", "0.0", "s"] in lines
    for days, words in (
        (["--since", "yesterday"], '"yesterday" is no day; write 2026-11-22'),
        (["--since", "2026-11", "--until", "2026-10"], "--until 2026-10-01 is not after --since 2026-11-01"),
    ):
        refused = run(kastats, days)
        assert (refused.exit_code, words in refused.stderr) == (2, True)
    request = site.deployer.requests[-1]
    assert (request.nodes, request.HasField("start_time"), request.HasField("end_time")) == ("node-1", True, False)
    shown = json.loads(run(ka, ["statistics", "-o", "json"]).stdout)
    assert shown["nodes"][0]["failure_rate"] == 0.3333


def test_operations_are_listed_shown_watched_and_cancelled(run: Run, site: Site) -> None:
    control = site.deployer.control
    assert run(kareboot, ["-m", "node-1", "--no-wait"]).stdout == "op-1\n"
    assert run(kapower, ["--cycle", "-m", "node-[1-2]", "--no-wait"]).exit_code == 0
    listed = run(ka, ["operation", "list"])
    assert listed.exit_code == 0, listed.stderr
    assert [line.split()[:5] for line in listed.stdout.splitlines()[1:]] == [
        ["op-2", "running", "alice", "power", "cycle"],
        ["op-1", "running", "alice", "reboot", "node-1"],
    ]
    assert run(ka, ["operation", "list", "--kind", "power", "-o", "name"]).stdout == "op-2\n"
    # The name that the request had will do, too.
    shown = run(ka, ["operation", "show", control.names["op-2"]])
    assert ("power cycle" in shown.stdout, "node-2" in shown.stdout) == (True, True), shown.stdout
    watched = run(ka, ["operation", "watch", "op-1"])
    assert (watched.exit_code, watched.stdout) == (0, "NODE    RESULT\nnode-1  ok\n"), watched.stderr
    cancelled = run(ka, ["operation", "cancel", "op-2", "--reason", "the wrong nodes"])
    assert cancelled.stderr == "operation op-2 was asked to stop; `ka operation watch op-2` shows how it ends\n"
    assert (control.requests[-1].id, control.requests[-1].reason) == ("op-2", "the wrong nodes")
    assert run(ka, ["operation", "show", "op-9"]).exit_code == 4
