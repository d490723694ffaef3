"""The commands for environments against services that note what they are asked."""

import hashlib
import json
from pathlib import Path

import pytest

from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy.inventory.v1 import environment_pb2
from kadeploy_cli.environments.classic_commands import kaenvironments, karecordenv
from kadeploy_cli.ka import ka
from tests.fakes.site import Run, Site

pytestmark = pytest.mark.integration

DESCRIPTION = """\
# a small system
name = debian
version = 2
description = Debian, small
author = root@localhost
size = 300
kernelpath = /vmlinuz
initrdpath = /initrd.img
kernelparam = console=ttyS0 root=LABEL=x
filebase = images/debian.tar.zst
filesite = post.tgz
fdisktype = 83
filesystem = ext4
visibility = public
"""


@pytest.fixture
def description(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/debian.tar.zst").write_bytes(b"an image")
    (tmp_path / "post.tgz").write_bytes(b"an archive")
    file = tmp_path / "debian.env"
    file.write_text(DESCRIPTION)
    return file


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_karecordenv_records_a_description_file_with_digests(site: Site, run: Run, description: Path) -> None:
    result = run(karecordenv, ["-fe", str(description)])
    assert result.exit_code == 0, result.output
    assert "environment debian version 2 of alice is recorded" in result.stderr
    (recorded,) = site.inventory.environments
    assert recorded.image.uri == f"file://{description.parent}/images/debian.tar.zst"
    assert recorded.image.digest == digest(b"an image")
    assert recorded.image.size_bytes == 8
    assert recorded.image.kind == environment_pb2.IMAGE_KIND_TAR
    assert recorded.image.compression == environment_pb2.COMPRESSION_ZSTD
    assert recorded.postinstalls[0].digest == digest(b"an archive")
    assert recorded.postinstalls[0].script == "traitement.ash"
    assert recorded.boot.kernel_arguments == "console=ttyS0 root=LABEL=x"
    assert recorded.visibility == environment_pb2.VISIBILITY_PUBLIC
    assert recorded.required_size_bytes == 300 * 1024 * 1024


def test_karecordenv_takes_the_classic_options(
    site: Site, run: Run, description: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(description.parent)
    arguments = ["-n", "min", "-v", "3", "-k", "/vmlinuz", "-i", "/initrd", "-p", "quiet", "-s", "20", "-d", "small"]
    arguments += [
        "-fb",
        "images/debian.tar.zst",
        "-ft",
        "post.tgz",
        "-fd",
        "0x83",
        "-fs",
        "xfs",
        "-o",
        "flag",
        "-z",
        "lab",
    ]
    result = run(karecordenv, [*arguments, "-a", "me@site"])
    assert result.exit_code == 0, result.output
    (recorded,) = site.inventory.environments
    assert (recorded.name, recorded.version, recorded.file_system, recorded.options) == ("min", 3, "xfs", "flag")
    assert recorded.image.uri == f"file://{description.parent}/images/debian.tar.zst"
    assert (recorded.cluster, recorded.author, recorded.partition_type_id) == ("lab", "me@site", 0x83)


def test_options_win_over_the_description_file(site: Site, run: Run, description: Path) -> None:
    assert run(karecordenv, ["-fe", str(description), "-v", "7", "-fs", "btrfs"]).exit_code == 0
    assert (site.inventory.environments[0].version, site.inventory.environments[0].file_system) == (7, "btrfs")


def test_recording_the_same_again_changes_nothing_and_other_content_is_refused(
    site: Site, run: Run, description: Path
) -> None:
    assert run(karecordenv, ["-fe", str(description)]).exit_code == 0
    assert run(karecordenv, ["-fe", str(description)]).exit_code == 0
    assert len(site.inventory.environments) == 1
    (description.parent / "images/debian.tar.zst").write_bytes(b"another image")
    result = run(karecordenv, ["-fe", str(description)])
    assert result.exit_code == 5
    assert "ENVIRONMENT_EXISTS" in result.stderr
    assert "-v N" in result.stderr


def test_a_missing_image_is_one_sentence(site: Site, run: Run, description: Path) -> None:
    (description.parent / "images/debian.tar.zst").unlink()
    result = run(karecordenv, ["-fe", str(description)])
    assert result.exit_code == 2
    assert "images/debian.tar.zst cannot be read: No such file or directory" in result.stderr
    assert not site.inventory.requests


def test_a_raw_image_boots_by_chainloading(site: Site, run: Run, tmp_path: Path) -> None:
    image = tmp_path / "other.dd.gz"
    image.write_bytes(b"raw")
    result = run(karecordenv, ["-n", "other", "-k", "chainload", "-fb", str(image)])
    assert result.exit_code == 0, result.output
    (recorded,) = site.inventory.environments
    assert recorded.boot.kind == environment_pb2.BOOT_KIND_CHAINLOAD
    assert recorded.image.kind == environment_pb2.IMAGE_KIND_DD
    assert not recorded.file_system


def test_kaenvironments_lists_shows_and_deletes(site: Site, run: Run, description: Path) -> None:
    run(karecordenv, ["-fe", str(description)])
    table = run(kaenvironments, [])
    assert table.exit_code == 0
    assert table.stdout.splitlines()[1].split()[:4] == ["debian", "2", "alice", "public"]
    assert json.loads(run(kaenvironments, ["-o", "json"]).stdout)[0]["image"]["kind"] == "tar"
    assert "sha256:" in run(kaenvironments, ["-e", "debian"]).stdout
    assert run(kaenvironments, ["--listlogin", "-o", "name"]).stdout == "alice\n"
    assert run(kaenvironments, ["-d", "debian"]).exit_code == 0
    assert not site.inventory.environments
    assert run(kaenvironments, ["-e", "debian"]).exit_code == 4


def test_ka_environment_record_lets_the_visibility_be_chosen(site: Site, run: Run, description: Path) -> None:
    result = run(ka, ["environment", "record", str(description), "--visibility", "shared"])
    assert result.exit_code == 0, result.output
    assert site.inventory.environments[0].visibility == environment_pb2.VISIBILITY_SHARED
    assert run(ka, ["environment", "list", "-o", "name"]).stdout == "debian\n"
    assert run(ka, ["environment", "delete", "debian", "--env-version", "2"]).exit_code == 0


def test_kaenvironments_of_nodes_shows_what_was_deployed_last(site: Site, run: Run) -> None:
    for partition, name, second in ((3, "old", 10), (4, "new", 20)):
        status = deployer_service_pb2.PartitionStatus(node="node-1", device="nvme0n1", partition=partition)
        status.environment.name = name
        status.update_time.FromSeconds(second)
        site.deployer.partitions.append(status)
    shown = run(kaenvironments, ["-m", "node-[1-2]"])
    assert shown.exit_code == 0, shown.output
    assert "new" in shown.stdout
    assert "nvme0n1p4" in shown.stdout
    assert "old" not in shown.stdout
    assert run(kaenvironments, ["-m", "node-2"]).exit_code == 4
