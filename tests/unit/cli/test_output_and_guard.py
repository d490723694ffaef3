"""Results as tables, JSON and names, and errors without a traceback."""

import json
import sys

import click
import pytest

from kadeploy.deployer.v1 import deployment_pb2
from kadeploy.inventory.v1 import environment_pb2, node_pb2
from kadeploy_cli.environments import image_files
from kadeploy_cli.terminal import guard, output
from kadeploy_cli.terminal.plain import plain


def test_messages_become_plain_data_with_every_field() -> None:
    node = node_pb2.Node(name="n", firmware=node_pb2.FIRMWARE_UEFI, labels={"b": "2", "a": "1"})
    node.disks.add(device="sda", size_bytes=1 << 40)
    node.create_time.FromSeconds(0)
    data = plain(node)
    assert json.loads(json.dumps(data)) == data
    assert (data["firmware"], data["labels"], data["create_time"]) == (
        "uefi",
        {"a": "1", "b": "2"},
        "1970-01-01T00:00:00Z",
    )
    assert data["disks"][0]["size_bytes"] == 1 << 40
    assert data["update_time"] is None
    assert data["disks"][0]["partition_table"] == ""


def test_durations_are_seconds_and_optional_numbers_may_be_missing() -> None:
    spec = deployment_pb2.DeploymentSpec()
    assert plain(spec)["environment_version"] is None
    spec.wait_timeout.FromMilliseconds(1500)
    assert plain(spec)["wait_timeout"] == 1.5


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (1 << 30, "1 GiB"), (1 << 62, "4096 PiB")]
)
def test_sizes_are_for_people(count: int, text: str) -> None:
    assert output.size(count) == text


def test_tables_are_aligned_and_free_of_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_table(("A", "LONGER"), [("first", "x\x1b[31m"), ("2", "two\nlines")])
    assert capsys.readouterr().out == "A      LONGER\nfirst  x?[31m\n2      two lines\n"


@pytest.mark.parametrize(
    ("name", "kind", "compression"),
    [
        ("a.tgz", "TAR", "GZIP"),
        ("a.tar.gz", "TAR", "GZIP"),
        ("a.tar", "TAR", "NONE"),
        ("a.tar.bz2", "TAR", "BZIP2"),
        ("a.tar.xz", "TAR", "XZ"),
        ("x/a.b.tar.zst", "TAR", "ZSTD"),
        ("a.dd", "DD", "NONE"),
        ("a.dd.gz", "DD", "GZIP"),
        ("a.dd.zst", "DD", "ZSTD"),
    ],
)
def test_suffixes_tell_kind_and_compression(name: str, kind: str, compression: str) -> None:
    known = image_files.kind_of(name)
    assert known is not None
    assert environment_pb2.ImageKind.Name(known[0]) == f"IMAGE_KIND_{kind}"
    assert environment_pb2.Compression.Name(known[1]) == f"COMPRESSION_{compression}"


@pytest.mark.parametrize("name", ["a", "a.gz", "a.zip", ".tar.gz", "tar"])
def test_other_suffixes_tell_nothing(name: str) -> None:
    assert image_files.kind_of(name) is None


def test_a_mistake_of_ours_is_one_line_and_no_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command()
    @click.option("--verbose", is_flag=True)
    def broken(*, verbose: bool) -> None:  # noqa: ARG001
        raise KeyError("something")

    monkeypatch.setattr(sys, "argv", ["broken"])
    with pytest.raises(SystemExit) as ended:
        guard.run(broken, "broken")
    assert ended.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("broken: unexpected KeyError: 'something'\n")
    assert "Traceback" not in error
    monkeypatch.setattr(sys, "argv", ["broken", "--verbose"])
    with pytest.raises(SystemExit):
        guard.run(broken, "broken")
    assert "in broken" in capsys.readouterr().err
