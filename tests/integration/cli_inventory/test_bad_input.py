"""What people type and write by mistake: one sentence with the file, line, node or option, and nothing is changed."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result

from kadeploy_cli.environments.archive_commands import kaarchive, kacreateenv
from kadeploy_cli.environments.classic_commands import karecordenv
from kadeploy_cli.environments.kaenv import kaenv
from kadeploy_cli.ka import ka
from kadeploy_cli.nodes.classic_commands import kaaddnode, kadelnode, kanodes
from kadeploy_cli.rights.classic_commands import kaadduser, kadeluser, karights
from tests.integration.cli_inventory.conftest import NODES, Site
from tests.integration.inventory.database_content import everything

pytestmark = pytest.mark.integration

Run = Callable[..., Result]
CLASSIC = "node1 00:02:73:49:9c:8d 192.168.10.1\nnode2 00:02:73:49:9c:8e 192.168.10.2\n\\#\nhda 80000\n1 1500 swap\n"
CLUSTER_PARTITIONS = "block_device=hda size=80000\npart=1 size=1500 fdisktype=82 label=swap type=primary\n"
YAML = """\
labels: {rack: a}
nodes:
  - name: n1
    mac: 02:54:00:00:00:01
    ip: 10.1.0.1
  - name: n2
    mac: 02:54:00:00:00:02
    ip: 10.1.0.2
    bmc: n2-bmc
disks: [{device: sda, size: 8000, partitions: [{number: 1, size: 4}]}]
"""


@pytest.fixture
def furnished(site: Site, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Four nodes, a right of alice, and a working directory with files of many kinds."""
    assert run(kaaddnode, ["-"], stdin=NODES).exit_code == 0
    assert run(kaadduser, ["-l", "alice", "-m", "node-[1-2]", "-p", "sda3"]).exit_code == 0
    monkeypatch.chdir(tmp_path)
    Path("empty").touch()
    Path("binary").write_bytes(bytes(range(256)))
    Path("zero").write_bytes(b"node1 00:02\0")
    Path("image.tgz").write_bytes(b"an image")
    os.mkfifo("pipe.tgz")
    Path("root").mkdir()
    Path("closed").mkdir()
    Path("closed", "file").write_text(CLASSIC)
    return site


def mistaken(run: Run, command: click.Command, arguments: list[str], **options: Any) -> Result:
    result = run(command, arguments, **options)
    assert isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


READERS: list[tuple[click.Command, list[str]]] = [
    (kaaddnode, []),
    (kanodes, ["-listnode", "-f"]),
    (kadelnode, ["-f"]),
    (karecordenv, ["-fe"]),
    (kaenv, ["-a"]),
    (kaadduser, ["-l", "alice", "-f"]),
    (kadeluser, ["-l", "alice", "-f"]),
    (karights, ["-l", "-f"]),
    (kaarchive, ["--root-directory", "root", "-i", "x", "-X"]),
    (kacreateenv, ["--root-directory", "root", "-k", "/k", "-fe"]),
    (ka, ["cluster", "create", "c", "--profile"]),
    (ka, ["node", "update", "node-1", "--disks"]),
    (ka, ["environment", "record"]),
]
WRONG = ("absent", ".", "empty", "binary", "zero", "closed/file/x", "/dev/zero")


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        pytest.param(command, [*arguments, name], id=" ".join([str(command.name), *arguments, name]))
        for command, arguments in READERS
        for name in WRONG
        # An empty file of patterns excludes nothing, which may be meant.
        if (command, name) != (kaarchive, "empty")
    ],
)
def test_a_file_of_the_wrong_kind_is_told_and_changes_nothing(
    furnished: Site, run: Run, command: click.Command, arguments: list[str]
) -> None:
    before = everything(furnished.engines)
    result = mistaken(run, command, arguments)
    assert (result.exit_code, arguments[-1] in result.stderr) == (2, True), result.output
    assert everything(furnished.engines) == before


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (CLASSIC.replace("00:02:73:49:9c:8e", "01:02:73:49:9c:8e"), "line 2", "mac_address is a group address"),
        (CLASSIC.replace("00:02:73:49:9c:8e", "00:00:00:00:00:00"), "line 2", "mac_address is the empty address"),
        (CLASSIC.replace("192.168.10.2", "0.0.0.0"), "line 2", "ip_address is no address of a single host"),
        (CLASSIC.replace("swap", "sw\x01ap"), "line 5", "'sw\\x01ap'"),
        (CLASSIC.replace("swap", "swé"), "line 5", "partitions[0].environment must be"),
        (CLASSIC.replace("1 1500", "5 9 a\n1 1500").replace("swap", "-"), "line 6", "partitions[0].environment"),
        (YAML.replace("00:00:02", "00:00:02").replace("02:54:00:00:00:02", "03:54:00:00:00:02"), "line 7", "mac"),
        (YAML.replace("rack", "a b"), "line 1", "labels has a key"),
        (YAML.replace("n2-bmc", "'n2 bmc'"), "line 9", "bmc_address is no host name"),
        (YAML.replace("size: 4}", 'size: 4, label: "\\x07"}'), "line 10", "label must be one line"),
    ],
)
def test_what_only_the_inventory_knows_against_a_node_is_told_with_its_line(  # noqa: PLR0917
    furnished: Site, run: Run, tmp_path: Path, text: str, place: str, words: str
) -> None:
    before = everything(furnished.engines)
    file = tmp_path / "nodes"
    file.write_text(text)
    result = mistaken(run, kaaddnode, [str(file)])
    assert result.exit_code == 2
    assert f"kaaddnode: {file}, {place}: " in result.stderr
    assert words in result.stderr
    assert "nodes[" not in result.stderr
    assert everything(furnished.engines) == before


def test_each_of_two_files_is_named_for_what_stands_in_it(furnished: Site, run: Run, tmp_path: Path) -> None:
    assert furnished.engines
    nodes, disk = tmp_path / "clusternodes.conf", tmp_path / "clusterpartition.conf"
    nodes.write_text("# of old\nnode9 03:02:73:49:9c:8d 192.168.10.9\n")
    disk.write_text(CLUSTER_PARTITIONS.replace("swap", "swé"))
    told = mistaken(run, kanodes, ["-add", "-C", str(tmp_path)]).stderr.splitlines()
    assert told[0].startswith(f"kanodes: {nodes}, line 2: mac_address is a group address")
    assert told[1].startswith(f"  {disk}, line 2: disks[0].partitions[0].environment must be")
    assert len(told) == 2


@pytest.mark.parametrize("text", ["\ufeff" + CLASSIC, CLASSIC.replace("\n", "\r\n")])
def test_a_file_from_windows_is_read(furnished: Site, run: Run, tmp_path: Path, text: str) -> None:
    assert furnished.engines
    (tmp_path / "nodes").write_bytes(text.encode())
    assert "node[1-2]" in run(kaaddnode, [str(tmp_path / "nodes")]).stderr


@pytest.mark.parametrize(
    ("command", "arguments", "status", "words"),
    [
        (kanodes, ["-listnode", "-m", ""], 2, "'' names no node"),
        (kanodes, ["-listnode", "-m", "node-1!node-1"], 2, "names no node"),
        (kanodes, ["-listnode", "-m", "*"], 2, "'*' is not a node set: at character 1: * is a wildcard"),
        (kanodes, ["-listnode", "-m", "node-9"], 4, "node-9 is not registered"),
        (kanodes, ["-listnode", "-m", "node-[1,8-9]"], 6, "node-[8-9] are not registered"),
        (kanodes, ["-listnode", "-z", "nosuch"], 4, "there is no cluster nosuch"),
        (kanodes, ["-listnode", "-m", "node-1\x1b["], 2, "'node-1\\x1b[' is not a node set"),
        (kanodes, ["-del", "node-?"], 2, "'node-?' is not a node set: at character 6: ? is a wildcard"),
        (kanodes, ["-del", "node-1", "--dry-run"], 2, "--dry-run goes with -add"),
        (kanodes, ["-del", "node-1", "-f", "closed/file"], 2, "-m and -f go with the lists"),
        (kanodes, ["-del", "node-[1-4]", "-z", "nosuch"], 2, "-z goes with the lists"),
        (kadelnode, ["*"], 2, "'*' is not a node set: at character 1: * is a wildcard"),
        (kadelnode, [""], 2, "'' names no node"),
        (kadeluser, ["-l", "alice", "-f", "empty"], 2, "empty names no node"),
        (kadeluser, ["-l", "alice", "-m", ""], 2, "'' names no node"),
        (kadeluser, ["-l", "alice", "-m", "*", "-m", "node-1"], 2, "stands for all nodes"),
        (kaadduser, ["-l", "alice", "-m", "node-1", "-p", "sda0"], 2, "partitions[0] must be a device"),
        (kaadduser, ["-l", "alice", "-m", "node-1", "-p", "sda03"], 2, "partitions[0] must be a device"),
        (kaadduser, ["-l", "alice", "-m", "node-9", "-p", "sda3"], 4, "node-9 is not registered"),
        (kaadduser, ["-l", "al ice", "-m", "node-1"], 2, "users[0] is no user name"),
        (kaadduser, ["-l", "alice", "-m", "node-1", "--until", "soon"], 2, "--until: 'soon' is not a time"),
        (kaadduser, ["-l", "alice", "-m", "node-1", "--until", "99999-01-01"], 2, "--until"),
        (ka, ["node", "update", "node-[1,9]", "--bmc", "other"], 4, "node-9 is not registered"),
        (ka, ["node", "show", ""], 2, "the node's name is empty"),
        (kaenv, ["-d", ""], 2, "the environment's name is empty"),
        (karecordenv, ["-n", "x", "-k", "/k", "-fb", "http://[/x.tgz"], 2, "http://[/x.tgz is no address of a file"),
        (karecordenv, ["-n", "x", "-k", "/k", "-fb", "pipe.tgz"], 2, "is not a regular file"),
        (karecordenv, ["-n", "x", "-k", "/k", "-fb", "empty.tgz"], 2, "cannot be read: No such file"),
        (kaarchive, ["--root-directory", ""], 2, "--root-directory is empty"),
        (kaarchive, ["--root-directory", "root", "--output-directory", ""], 2, "--output-directory is empty"),
        (kacreateenv, ["--root-directory", "root", "-n", "a b", "-k", "/k"], 2, "environment.name must be"),
        (kacreateenv, ["--root-directory", "root", "-n", "a", "-k", "k"], 2, "kernel_path must be an absolute path"),
        (kacreateenv, ["--root-directory", "root", "-n", "a", "-k", "/k", "--cluster", "x"], 2, "cluster x, which"),
    ],
)
def test_a_mistaken_option_is_one_sentence_and_changes_nothing(  # noqa: PLR0917
    furnished: Site, run: Run, command: click.Command, arguments: list[str], status: int, words: str
) -> None:
    before, files = everything(furnished.engines), sorted(Path().iterdir())
    result = mistaken(run, command, arguments)
    assert (result.exit_code, words in result.stderr) == (status, True), result.output
    assert everything(furnished.engines) == before
    assert sorted(Path().iterdir()) == files


def test_a_directory_that_takes_no_image_is_told(furnished: Site, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert furnished.engines

    def refuse(**_: object) -> tuple[int, str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("kadeploy_cli.environments.archiving.tempfile.mkstemp", refuse)
    result = mistaken(run, kaarchive, ["--root-directory", "root", "--output-directory", "closed"])
    assert result.exit_code == 2
    assert "output_image.tar cannot be written: Permission denied" in result.stderr
