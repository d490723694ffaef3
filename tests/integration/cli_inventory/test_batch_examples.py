"""The prologues and epilogues of docs/examples/batch, run as a scheduler runs them, on a real inventory."""

import json
import shutil
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest

from kadeploy_cli.rights.classic_commands import kaadduser, karights
from tests.integration.cli_inventory.batch import EXAMPLES, Scheduler, allowed
from tests.integration.cli_inventory.conftest import Run, Site
from tests.slurm import write_script

pytestmark = pytest.mark.integration


def seconds_left(run: Run, user: str) -> float:
    listed = json.loads(run(karights, ["--list", "-u", user, "--output", "json"]).stdout)
    (end,) = {right["expire_time"] for right in listed}
    return datetime.fromisoformat(end).timestamp() - time.time()


def oar_job(scheduler: Scheduler, *nodes: str, kind: str = "deploy", walltime: str = "2:0:0") -> tuple[str, str, str]:
    """Prepares what OAR 2.5.9 has of a job: three arguments for the scripts, and what oarstat says."""
    description = f"Job_Id: 42\n    owner = bob\n    state = Launching\n    types = {kind}\n    walltime = {walltime}\n"
    (scheduler.directory / "description").write_text(description)
    write_script(
        scheduler.directory / "bin/oarstat",
        f'test "$*" = "--full --job 42" && exec cat {scheduler.directory}/description',
    )
    node_file = scheduler.directory / "nodes"
    node_file.write_text("".join(f"{node}\n" for node in nodes))
    return "42", "bob", str(node_file)


def test_an_oar_job_has_the_right_while_it_runs(site: Site, run: Run, scheduler: Scheduler) -> None:
    # Where NODE_FILE_DB_FIELD says so, a node stands there once for each of its cores.
    job = oar_job(scheduler, "node-2", "node-2", "node-3", "node-3")
    assert allowed(site.address, "bob") == []
    began = scheduler.run("oar-prologue", *job)
    assert began.returncode == 0, began.stderr
    assert allowed(site.address, "bob") == ["node-2", "node-3"]
    assert 7000 < seconds_left(run, "bob") < 7600
    scheduler.begin_deployment("bob")
    ended = scheduler.run("oar-epilogue", *job)
    assert ended.returncode == 0, ended.stderr
    assert allowed(site.address, "bob") == []
    listing, cancelling = scheduler.deployer.requests
    assert (listing.filter.owner, listing.filter.nodes) == ("bob", "node-[2-3]")
    assert (cancelling.id, cancelling.reason) == ("D-1", "job 42 has ended")
    # What bob deployed does not run on.
    assert scheduler.rebooted_into() == [("node-[2-3]", "sda", 2)]


def test_an_oar_epilogue_fails_where_a_node_does_not_come_back(scheduler: Scheduler) -> None:
    scheduler.deployer.control.busy = {"node-3"}
    job = oar_job(scheduler, "node-2", "node-3")
    ended = scheduler.run("oar-epilogue", *job)
    assert (ended.returncode, "node-3 did not come back to sda2" in ended.stderr) == (1, True)
    # The one that is back is not rebooted again.
    assert scheduler.rebooted_into() == [("node-[2-3]", "sda", 2), ("node-3", "sda", 2)]
    left = scheduler.run("oar-epilogue", *job, KADEPLOY_REFERENCE="none")
    assert (left.returncode, len(scheduler.rebooted_into())) == (0, 2)


ENDED_WHILE_IT_WROTE = """while [ $# -gt 0 ]; do
    [ "$1" = --output-ok-nodes ] && echo node-2 >"$2"
    shift
done
exit 124"""


def test_an_oar_epilogue_fails_where_the_reboot_was_ended_while_it_wrote_its_lists(scheduler: Scheduler) -> None:
    write_script(scheduler.directory / "bin/kareboot", ENDED_WHILE_IT_WROTE)
    ended = scheduler.run("oar-epilogue", *oar_job(scheduler, "node-2", "node-3"))
    assert (ended.returncode, "node-2,node-3 did not come back to sda2" in ended.stderr) == (1, True), ended.stderr


@pytest.mark.parametrize("kind", ["cosystem", "", "besteffort, nodeploy"])
def test_an_oar_job_of_another_type_gets_nothing_and_loses_nothing(
    site: Site, run: Run, scheduler: Scheduler, kind: str
) -> None:
    job = oar_job(scheduler, "node-1", kind=kind)
    assert scheduler.run("oar-prologue", *job).returncode == 0
    assert allowed(site.address, "bob") == []
    assert run(kaadduser, ["-l", "bob", "-m", "node-1", "-p", "sda3"]).exit_code == 0
    assert scheduler.run("oar-epilogue", *job).returncode == 0
    assert allowed(site.address, "bob") == ["node-1"]


def test_an_oar_job_without_a_walltime_does_not_start(site: Site, scheduler: Scheduler) -> None:
    refused = scheduler.run("oar-prologue", *oar_job(scheduler, "node-1", kind="besteffort, deploy", walltime=""))
    assert refused.returncode == 1
    assert "oarstat names no walltime" in refused.stderr
    assert allowed(site.address, "bob") == []


def slurm_control(scheduler: Scheduler, reasons: str) -> Path:
    """Lets sinfo say why nodes are drained; returns the file in which each call of scontrol is a line."""
    calls = scheduler.directory / "scontrol.calls"
    write_script(scheduler.directory / "bin/scontrol", f'echo "$*" >>{calls}')
    (scheduler.directory / "reasons").write_text(reasons)
    write_script(scheduler.directory / "bin/sinfo", f"exec cat {scheduler.directory}/reasons")
    return calls


def test_a_slurm_epilog_fails_where_the_reboot_was_ended_while_it_wrote_its_lists(scheduler: Scheduler) -> None:
    control = slurm_control(scheduler, "node-2|kadeploy: on the way back to the site's system\n")
    write_script(scheduler.directory / "bin/kareboot", ENDED_WHILE_IT_WROTE)
    job = {"SLURM_JOB_ID": "7", "SLURM_JOB_USER": "bob", "SLURM_JOB_NODELIST": "node-[2-3]"}
    ended = scheduler.run("slurm-epilog", **job, SLURM_JOB_PARTITION="deploy")
    assert (ended.returncode, "node-[2-3] did not come back to sda2" in ended.stderr) == (1, True), ended.stderr
    # The other one stays drained.
    assert not [line for line in control.read_text().splitlines() if "node-3" in line and "RESUME" in line]


def test_a_slurm_job_has_the_right_while_it_runs(site: Site, run: Run, scheduler: Scheduler) -> None:
    assert run(kaadduser, ["-l", "eve", "-m", "*", "-p", "sda3"]).exit_code == 0
    job = {
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_USER": "bob",
        "SLURM_JOB_NODELIST": "node-[1-2,4]",
        "SLURM_JOB_PARTITION": "deploy",
        "SLURM_JOB_END_TIME": str(int(time.time()) + 3600),
    }
    began = scheduler.run("slurm-prolog", **job)
    assert began.returncode == 0, began.stderr
    assert allowed(site.address, "bob") == ["node-1", "node-2", "node-4"]
    assert 3700 < seconds_left(run, "bob") < 4000
    control = slurm_control(scheduler, "node-1|kadeploy: on the way back to the site's system\nnode-2|disk broken\n")
    assert scheduler.run("slurm-epilog", **job).returncode == 0
    assert allowed(site.address, "bob") == []
    assert scheduler.rebooted_into() == [("node-[1-2,4]", "sda", 2)]
    drained = "update NodeName=node-[1-2,4] State=DRAIN Reason=kadeploy: on the way back to the site's system"
    # The node with another reason was drained by somebody else.
    assert control.read_text().splitlines() == [drained, "update NodeName=node-1 State=RESUME"]
    assert len(allowed(site.address, "eve")) == 4


def test_an_older_slurm_is_asked_for_the_end_and_other_partitions_get_nothing(site: Site, scheduler: Scheduler) -> None:
    write_script(scheduler.directory / "bin/squeue", "date --iso-8601=seconds --date='1 hour'")
    job = {"SLURM_JOB_ID": "7", "SLURM_JOB_USER": "bob", "SLURM_JOB_NODELIST": "node-1"}
    assert scheduler.run("slurm-prolog", **job, SLURM_JOB_PARTITION="batch").returncode == 0
    assert allowed(site.address, "bob") == []
    assert scheduler.run("slurm-prolog", **job, SLURM_JOB_PARTITION="deploy").returncode == 0
    assert allowed(site.address, "bob") == ["node-1"]


def test_a_job_whose_right_cannot_be_granted_does_not_start(site: Site, scheduler: Scheduler) -> None:
    refused = scheduler.run("oar-prologue", *oar_job(scheduler, "node-1", "node-99"))
    assert refused.returncode != 0
    assert "NODE_NOT_FOUND" in refused.stderr
    assert allowed(site.address, "bob") == []


def test_the_examples_please_shellcheck() -> None:
    checker = Path(sys.executable).parent / "shellcheck"
    found = str(checker) if checker.exists() else shutil.which("shellcheck")
    assert found, "shellcheck is not installed"
    scripts = sorted(str(path) for path in EXAMPLES.iterdir())
    done = subprocess.run([found, *scripts], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == ""
    assert len(scripts) == 4
