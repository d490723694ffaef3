"""The prologues and epilogues of docs/examples/batch, run as a scheduler runs them, on a real inventory."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import Result

from kadeploy.deployer.v1 import deployment_pb2
from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_cli.commands.classic_nodes import kaaddnode
from kadeploy_cli.commands.classic_rights import kaadduser, karights
from kadeploy_rpckit.channel import open_channel
from kadeploy_rpckit.server import start_sync
from tests.fakes import deployer_services
from tests.fakes.deployer_services import DeployerServices
from tests.integration.cli_inventory.conftest import Site

pytestmark = pytest.mark.integration

Run = Callable[..., Result]
EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples" / "batch"
NODES = """\
nodes:
  - {name: "node-[1-4]", mac: "52:54:00:00:00:[01-04]", ip: "10.0.0.[1-4]"}
disks: [{device: sda, size: 8000, partitions: [{number: 3, size: 4000}]}]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """Runs the scripts with nothing in their environment but what a scheduler gives them."""

    directory: Path
    variables: Mapping[str, str]
    deployer: DeployerServices

    def run(self, script: str, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(EXAMPLES / script), *arguments],
            env={**self.variables, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def scheduler(site: Site, run: Run, tmp_path: Path) -> Iterator[Scheduler]:
    assert run(kaaddnode, ["-"], stdin=NODES).exit_code == 0
    deployer = DeployerServices()  # type: ignore[abstract]
    address = f"unix:{site.directory}/d"
    server, _ = start_sync(
        deployer.register, service="deployer", address=address, service_names=deployer_services.SERVICES
    )
    settings = tmp_path / "scheduler.toml"
    settings.write_text(site.client_file("root").read_text() + f'[deployer]\naddress = "{address}"\n')
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("ka", "kaadduser", "kadeluser"):
        code = f"from kadeploy_cli.__main__ import {name}; {name}()"
        program(programs / name, f"exec {sys.executable} -c '{code}' \"$@\"")
    path = f"{programs}:/usr/bin:/bin"
    variables = {"PATH": path, "KADEPLOY_PATH": path, "KADEPLOY_CONFIG": str(settings), "KADEPLOY_PARTITIONS": "sda3"}
    passed_on = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    yield Scheduler(directory=tmp_path, variables=variables | passed_on, deployer=deployer)
    server.stop(grace=0).wait(5)


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def allowed(site: Site, user: str) -> list[str]:
    """Returns the nodes on which the inventory lets a user deploy to sda3, as the deployer asks it."""
    with open_channel(site.address, caller="deployer") as channel:
        rights = inventory_service_pb2_grpc.RightServiceStub(channel)
        request = inventory_service_pb2.CheckRightsRequest(user=user, nodes="node-[1-4]", partition="sda3")
        return [check.node for check in rights.CheckRights(request, timeout=10).checks if check.allowed]


def seconds_left(run: Run, user: str) -> float:
    listed = json.loads(run(karights, ["--list", "-u", user, "--output", "json"]).stdout)
    (end,) = {right["expire_time"] for right in listed}
    return datetime.fromisoformat(end).timestamp() - time.time()


@pytest.mark.parametrize("walltime", ["7200", "2:00:00"])
def test_an_oar_job_has_the_right_while_it_runs(site: Site, run: Run, scheduler: Scheduler, walltime: str) -> None:
    nodes = scheduler.directory / "nodes"
    # OAR names a node once for each of its cores.
    nodes.write_text("node-2\nnode-2\nnode-3\nnode-3\n")
    job = ("42", "bob", str(nodes), walltime)
    assert allowed(site, "bob") == []
    began = scheduler.run("oar-prologue", *job)
    assert began.returncode == 0, began.stderr
    assert allowed(site, "bob") == ["node-2", "node-3"]
    assert 7000 < seconds_left(run, "bob") < 7600
    scheduler.deployer.deployments["D-1"] = deployment_pb2.Deployment(
        id="D-1", owner="bob", state=deployment_pb2.DEPLOYMENT_STATE_DEPLOYING
    )
    ended = scheduler.run("oar-epilogue", *job)
    assert ended.returncode == 0, ended.stderr
    assert allowed(site, "bob") == []
    listing, cancelling = scheduler.deployer.requests
    assert (listing.filter.owner, listing.filter.nodes) == ("bob", "node-[2-3]")
    assert (cancelling.id, cancelling.reason) == ("D-1", "job 42 has ended")


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
    assert allowed(site, "bob") == ["node-1", "node-2", "node-4"]
    assert 3700 < seconds_left(run, "bob") < 4000
    assert scheduler.run("slurm-epilog", **job).returncode == 0
    assert allowed(site, "bob") == []
    assert len(allowed(site, "eve")) == 4


def test_an_older_slurm_is_asked_for_the_end_and_other_partitions_get_nothing(site: Site, scheduler: Scheduler) -> None:
    program(scheduler.directory / "bin/squeue", "date --iso-8601=seconds --date='1 hour'")
    job = {"SLURM_JOB_ID": "7", "SLURM_JOB_USER": "bob", "SLURM_JOB_NODELIST": "node-1"}
    assert scheduler.run("slurm-prolog", **job, SLURM_JOB_PARTITION="batch").returncode == 0
    assert allowed(site, "bob") == []
    assert scheduler.run("slurm-prolog", **job, SLURM_JOB_PARTITION="deploy").returncode == 0
    assert allowed(site, "bob") == ["node-1"]


def test_a_job_whose_right_cannot_be_granted_does_not_start(site: Site, scheduler: Scheduler) -> None:
    nodes = scheduler.directory / "nodes"
    nodes.write_text("node-1 node-99\n")
    refused = scheduler.run("oar-prologue", "42", "bob", str(nodes), "60")
    assert refused.returncode != 0
    assert "NODE_NOT_FOUND" in refused.stderr
    assert allowed(site, "bob") == []


def test_the_examples_please_shellcheck() -> None:
    checker = Path(sys.executable).parent / "shellcheck"
    found = str(checker) if checker.exists() else shutil.which("shellcheck")
    assert found, "shellcheck is not installed"
    scripts = sorted(str(path) for path in EXAMPLES.iterdir())
    done = subprocess.run([found, *scripts], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == ""
    assert len(scripts) == 4
