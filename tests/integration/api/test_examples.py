"""The examples for authors of tools, run as they stand in docs/examples against real services with simulated nodes."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.integration.api.conftest import settings_of
from tests.web_site import WebSite

pytestmark = pytest.mark.integration
CHECKOUT = Path(__file__).resolve().parents[3]
EXAMPLES = CHECKOUT / "docs" / "examples"
DESCRIPTORS = CHECKOUT / "build" / "protos" / "descriptors.binpb"
SECONDS = 120


def run(
    command: list[str], *, directory: Path, settings: Path | None = None, variables: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Runs an example as a user would, with our commands on the path."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **(variables or {})}
    if settings is not None:
        environment["KADEPLOY_CONFIG"] = str(settings)
    return subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )


def test_python_deploys_and_says_what_happens(site: WebSite, tmp_path: Path) -> None:
    site.pace(seconds=0.01, failures={"node-2": ["format", "no disk"]})
    command = [sys.executable, str(EXAMPLES / "python" / "deploy_and_watch.py"), "node-[1-2]", "debian", "sda", "3"]
    done = run(command, directory=tmp_path, settings=settings_of(site, "alice", tmp_path))
    assert done.returncode == 1, done.stderr
    assert "node-1 PARTITION_STATE_DEPLOYED" in done.stdout
    assert "1 of 2 nodes deployed" in done.stdout
    refused = run(command, directory=tmp_path, settings=settings_of(site, "bob", tmp_path))
    assert (refused.returncode, refused.stderr.partition(":")[0]) == (2, "RIGHT_MISSING")


def test_buf_curl_calls_any_method_by_reflection(site: WebSite, tmp_path: Path) -> None:
    method = "kadeploy.inventory.v1.NodeService/ListNodes"
    call = [str(EXAMPLES / "buf-curl" / "call"), site.site.addresses["inventory"]]
    directory = str(site.site.files("alice").certificate.parent)
    done = run([*call, directory, method, '{"filter": {"nodes": "node-[1-3]"}}'], directory=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [node["name"] for node in json.loads(done.stdout)["nodes"]] == ["node-1", "node-2", "node-3"]
    refused = run([*call, directory, method, '{"filter": {"nodes": "node-["}}'], directory=tmp_path)
    assert refused.returncode != 0
    assert "cannot be understood" in refused.stderr + refused.stdout


def test_a_hook_of_a_scheduler_deploys_once_for_each_job(site: WebSite, tmp_path: Path) -> None:
    site.pace(seconds=0.0)
    hook = [sys.executable, str(EXAMPLES / "scheduler" / "deploy-for-job")]
    job = {"JOB_ID": "4711", "JOB_USER": "alice", "JOB_NODES": "node-[15-16]", "JOB_DISK": "sda", "JOB_PARTITION": "3"}
    settings = settings_of(site, "root", tmp_path)
    assert run(hook, directory=tmp_path, settings=settings, variables=job).stdout == ""
    wanted = {**job, "JOB_ENVIRONMENT": "debian"}
    for _ in range(2):
        done = run(hook, directory=tmp_path, settings=settings, variables=wanted)
        assert (done.returncode, done.stdout) == (0, "job 4711: 2 of 2 nodes deployed\n"), done.stderr
    with site.client("alice") as alice:
        assert [one.owner for one in alice.deployments("node-15")] == ["alice"]
    without_right = {**wanted, "JOB_ID": "4712", "JOB_USER": "bob"}
    refused = run(hook, directory=tmp_path, settings=settings, variables=without_right)
    assert refused.returncode == 1
    assert "RIGHT_MISSING" in refused.stderr


def test_a_job_of_a_continuous_integration_deploys_and_keeps_what_became_of_each_node(
    site: WebSite, tmp_path: Path
) -> None:
    site.pace(seconds=0.0, failures={"node-8": ["format", "no disk"]})
    command = [str(EXAMPLES / "ci" / "deploy-and-test")]
    settings = settings_of(site, "alice", tmp_path)
    good = run([*command, "node-7", "debian", "sda3"], directory=tmp_path, settings=settings)
    assert good.returncode == 0, good.stderr
    assert (tmp_path / "deployed.txt").read_text().split() == ["node-7"]
    bad = run([*command, "node-[7-8]", "debian", "sda3"], directory=tmp_path, settings=settings)
    assert bad.returncode != 0
    assert (tmp_path / "failed.txt").read_text().split() == ["node-8"]


@pytest.mark.skipif(
    shutil.which("protoc-gen-go") is None, reason="no Go here: lab/setup-host docs/examples/packages.txt"
)
def test_go_is_built_lists_and_follows(site: WebSite, tmp_path: Path) -> None:
    program = tmp_path / "example"
    cache = CHECKOUT / "build" / "cache" / "go"
    build = [str(EXAMPLES / "go" / "build"), str(DESCRIPTORS), str(program)]
    built = run(build, directory=tmp_path, variables={"GOCACHE": str(cache)})
    assert built.returncode == 0, built.stderr
    directory = str(site.site.files("alice").certificate.parent)
    call = [str(program), "-deployer", site.site.addresses["deployer"], "-tls", directory]
    site.pace(seconds=0.05, failures={"node-11": ["format", "no disk"]}, held=["node-10"])
    with site.client("alice") as alice:
        made = alice.deploy("node-[10-11]", "debian", device="sda", partition=3)
        listed = run(call, directory=tmp_path)
        assert made.id in listed.stdout, listed.stderr
        site.pace(seconds=0.05, failures={"node-11": ["format", "no disk"]})
        followed = run([*call, made.id], directory=tmp_path)
    assert followed.returncode == 1
    assert "node-10 PARTITION_STATE_DEPLOYED" in followed.stdout
    assert "1 of 2 nodes deployed" in followed.stderr


def test_every_example_is_run() -> None:
    # Those in batch/ are run with real schedulers, in tests/e2e and tests/integration.
    assert {path.name for path in EXAMPLES.iterdir()} == {
        "batch", "buf-curl", "ci", "go", "packages.txt", "python", "scheduler",
    }  # fmt: skip
