"""ka boot: entries, files and the tree of the TFTP host, against a bootctl that only says so."""

import json
from pathlib import Path

import pytest

from kadeploy.bootctl.v1 import boot_entry_pb2, bootctl_service_pb2
from kadeploy.inventory.v1 import node_pb2
from kadeploy_cli.ka import ka
from tests.fakes.site import Run, Site

pytestmark = pytest.mark.integration

UUID = "b8945908-d6a6-41a9-611d-74a6ab80b83d"
DIGEST = f"sha256:{'a' * 64}"


@pytest.fixture
def nodes(site: Site) -> None:
    """Two machines in the inventory."""
    for number in (1, 2):
        name = f"node-{number}"
        site.inventory.nodes[name] = node_pb2.Node(
            name=name, mac_address=f"52:54:00:00:00:0{number}", ip_address=f"10.0.0.{number}", uuid=UUID
        )
    site.inventory.nodes["node-2"].firmware = node_pb2.FIRMWARE_UEFI


@pytest.mark.usefixtures("nodes")
def test_an_administrator_says_what_machines_boot(site: Site, run: Run, tmp_path: Path) -> None:
    own = tmp_path / "own.cfg"
    own.write_text("DEFAULT x\nLABEL x\n  KERNEL FILES_PREFIX/x\n")
    for arguments, kind in (
        (["--local-disk"], "local_disk"),
        (["--label", "deploy", "--arguments", "debug"], "label"),
        (["--chainload", "0:3"], "chainload"),
        (["--custom", str(own)], "custom"),
    ):
        result = run(ka, ["boot", "set", "node-[1-2]", *arguments])
        assert result.exit_code == 0, result.output
        assert {entry.target.WhichOneof("kind") for entry in site.bootctl.entries.values()} == {kind}
    first, second = site.bootctl.entries["node-1"], site.bootctl.entries["node-2"]
    assert (first.node.mac_address, first.node.ip_address, first.node.uuid) == ("52:54:00:00:00:01", "10.0.0.1", UUID)
    assert (first.node.firmware, second.node.firmware) == (
        boot_entry_pb2.BOOT_FIRMWARE_BIOS,
        boot_entry_pb2.BOOT_FIRMWARE_UEFI,
    )
    assert (first.owner, first.target.custom.text) == ("alice", own.read_text())
    assert run(ka, ["boot", "clear", "node-1"]).exit_code == 0
    assert list(site.bootctl.entries) == ["node-2"]


@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["node-1"], 2, "one of --local-disk, --label, --chainload and --custom is needed"),
        (["node-1", "--local-disk", "--label", "deploy"], 2, "a machine boots one thing"),
        (["node-1", "--local-disk", "--arguments", "x"], 2, "--arguments says nothing without --label"),
        (["node-1", "--chainload", "sda3"], 2, "is not DISK or DISK:PARTITION"),
        (["node-1", "--custom", "/nowhere/x"], 2, "cannot be read"),
        (["node-[1-3]", "--local-disk"], 4, "not registered: node-3"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    site: Site, run: Run, arguments: list[str], status: int, words: str
) -> None:
    result = run(ka, ["boot", "set", *arguments])
    assert (result.exit_code, words in result.stderr) == (status, True), result.stderr
    assert site.bootctl.entries == {}


@pytest.mark.usefixtures("nodes")
def test_a_machine_that_is_refused_is_told_and_the_others_have_their_entries(site: Site, run: Run) -> None:
    site.bootctl.refused = {"node-2"}
    result = run(ka, ["boot", "set", "node-[1-2]", "--local-disk"])
    assert (result.exit_code, "custom text is for administrators" in result.output) == (6, True)
    assert list(site.bootctl.entries) == ["node-1"]


def test_what_is_wrong_with_the_tree_is_told_and_ours_is_repaired(site: Site, run: Run) -> None:
    clean = run(ka, ["boot", "check"])
    assert (clean.exit_code, "as it should be" in clean.stderr) == (0, True)
    site.bootctl.findings = [
        bootctl_service_pb2.TreeFinding(
            kind=bootctl_service_pb2.TREE_FINDING_KIND_CHANGED_FILE, path="PXEClient/pxelinux.cfg/0A000001"
        )
    ]
    compared = run(ka, ["boot", "reconcile"])
    assert (compared.exit_code, "changed file" in compared.stdout) == (1, True)
    repaired = run(ka, ["boot", "reconcile", "--repair", "-o", "json"])
    assert repaired.exit_code == 0
    assert [one["repaired"] for one in json.loads(repaired.stdout)] == [True]


def test_files_are_listed_with_their_entries_and_the_unused_ones_go(site: Site, run: Run) -> None:
    used = boot_entry_pb2.BootFile(digest=DIGEST, size_bytes=5, description="kernel of debian", reference_count=3)
    unused = boot_entry_pb2.BootFile(digest=DIGEST.replace("a", "b"), size_bytes=5, description="old")
    site.bootctl.files = [used, unused]
    assert "kernel of debian" in run(ka, ["boot", "files"]).stdout
    dry = run(ka, ["boot", "collect", "--dry-run"])
    assert ("1 file would be removed" in dry.stderr, len(site.bootctl.files)) == (True, 2)
    assert "1 file removed" in run(ka, ["boot", "collect"]).stderr
    assert site.bootctl.files == [used]
