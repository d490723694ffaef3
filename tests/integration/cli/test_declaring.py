"""`ka partition declare`: what is asked of the deployer, and how a host's known_hosts file is read."""

import json
from pathlib import Path

import pytest

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy.inventory.v1 import node_pb2
from kadeploy_cli.ka import ka
from tests.fakes.site import Run, Site

DECLARE = ["partition", "declare"]
KEYS = """\
# ssh-keyscan
node-1,10.0.0.1 ssh-ed25519 AAAA
node-1 ssh-rsa BBBB comment
@cert-authority * ssh-ed25519 CCCC
node-2 ssh-ed25519 DDDD
"""


def asked(site: Site) -> deployer_service_pb2.DeclarePartitionsRequest:
    (request,) = site.deployer.requests
    assert isinstance(request, deployer_service_pb2.DeclarePartitionsRequest)
    return request


def test_what_is_installed_is_said_with_its_host_keys(site: Site, run: Run, tmp_path: Path) -> None:
    keys = tmp_path / "known_hosts"
    keys.write_text(KEYS)
    words = ["-e", "reference", "--env-version", "2", "-l", "root", "-p", "/dev/sda2", "--boot-method", "grub"]
    done = run(ka, [*DECLARE, "node-[1-2]", *words, "--host-keys", str(keys), "--kernel-arguments", "ro"])
    assert done.exit_code == 0, done.stderr
    request = asked(site)
    assert (request.nodes, request.device, request.partition) == ("node-[1-2]", "sda", 2)
    named = (request.environment_name, request.environment_version, request.environment_owner)
    assert named == ("reference", 2, "root")
    assert (request.boot_method, request.kernel_arguments) == (deployment_pb2.BOOT_METHOD_GRUB, "ro")
    assert {each.node: list(each.keys) for each in request.host_keys} == {
        "node-1": ["ssh-ed25519 AAAA", "ssh-rsa BBBB"],
        "node-2": ["ssh-ed25519 DDDD"],
    }


def test_a_node_that_is_held_is_told_and_the_exit_status_says_so(site: Site, run: Run) -> None:
    site.deployer.busy = {"node-2"}
    done = run(ka, [*DECLARE, "node-[1-2]", "-e", "reference"])
    assert (done.exit_code, "node-2 is held by deployment D-0" in done.stdout) == (6, True)
    nothing = run(ka, [*DECLARE, "node-2", "--empty", "-o", "json"])
    assert nothing.exit_code == 5
    assert json.loads(nothing.stdout)[0]["reason"] == "busy"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "no environment is named"),
        (["--empty", "-e", "reference"], "name no environment"),
        (["-e", "reference", "-p", "sd3x"], "is not a partition"),
        (["-e", "reference", "--host-keys", "{keys}"], "has no key of node-3"),
        (["-e", "reference", "--host-keys", "{hashed}"], "line 1: the names are hashed"),
        (["-e", "reference", "--host-keys", "{short}"], "line 1: is not"),
        (["-e", "reference", "--host-keys", "/absent"], "/absent cannot be read"),
    ],
)
def test_what_cannot_be_declared_is_refused_before_anything_is_asked(
    site: Site, run: Run, tmp_path: Path, words: list[str], sentence: str
) -> None:
    for name, text in (("keys", KEYS), ("hashed", "|1|abc|def ssh-rsa BBBB\n"), ("short", "node-3 ssh-rsa\n")):
        (tmp_path / name).write_text(text)
    paths = {name: str(tmp_path / name) for name in ("keys", "hashed", "short")}
    done = run(ka, [*DECLARE, "node-3", *(word.format(**paths) for word in words)])
    assert (done.exit_code, sentence in done.stderr) == (2, True), done.stderr
    assert site.deployer.requests == []


def test_a_bad_node_set_is_named_by_its_argument(site: Site, run: Run) -> None:
    done = run(ka, [*DECLARE, "node-[1-2", "-e", "reference"])
    assert (done.exit_code, "NODES: 'node-[1-2' is not a node set" in done.stderr) == (2, True), done.stderr
    assert site.deployer.requests == []


def test_a_declared_partition_is_listed_as_such(site: Site, run: Run) -> None:
    disk = node_pb2.Disk(
        device="sda", size_bytes=1 << 33, partitions=[node_pb2.Partition(number=2, size_bytes=1 << 32)]
    )
    site.inventory.nodes["node-1"] = node_pb2.Node(name="node-1", cluster="default", disks=[disk])
    row = deployer_service_pb2.PartitionStatus(
        node="node-1",
        device="sda",
        partition=2,
        declared=True,
        owner="root",
        state=deployment_pb2.PARTITION_STATE_DEPLOYED,
    )
    row.environment.name, row.environment.version = "reference", 2
    site.deployer.partitions.append(row)
    listed = run(ka, ["partition", "list", "--wide"])
    assert "declared" in listed.stdout
    (data,) = json.loads(run(ka, ["partition", "list", "-o", "json"]).stdout)
    assert (data["declared"], data["deployment_id"], data["environment"]) == (True, "", "reference")
