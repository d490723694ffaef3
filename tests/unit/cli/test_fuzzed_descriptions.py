"""Whatever stands in a file: it is read, or one sentence names the file and, where there is one, the line."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kadeploy.inventory.v1 import environment_pb2
from kadeploy_cli.descriptions import (
    cluster_files,
    cluster_profile,
    disk_layout,
    environment_file,
    environment_yaml,
    nodes_file,
    nodes_yaml,
    settings_file,
)
from kadeploy_cli.descriptions.problem_list import SeveralProblems
from kadeploy_cli.descriptions.text import DescriptionFailure, decode, looks_like_yaml
from kadeploy_cli.terminal.failures import UsageFailure

SOURCE = "file"
HERE = Path("/here")
TOLD = re.compile(r"file(, line [1-9][0-9]*)?: \S")
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def image(*_: object) -> environment_pb2.Image:
    return environment_pb2.Image(uri="file:///i", kind=environment_pb2.IMAGE_KIND_TAR)


def archive(*_: object) -> environment_pb2.ScriptArchive:
    return environment_pb2.ScriptArchive(uri="file:///a")


FILES = environment_yaml.Files(directory=HERE, read_image=image, read_archive=archive, note=lambda _: None)


def classic_nodes(text: str) -> object:
    return disk_layout.disk(nodes_file.parse(text, SOURCE), SOURCE, gpt=False)


def gpt_nodes(text: str) -> object:
    return disk_layout.disk(nodes_file.parse(text, SOURCE, gpt=True), SOURCE, gpt=True)


def classic_environment(text: str) -> object:
    read = settings_file.parse(text, SOURCE)
    return environment_file.build(read, owner="", directory=HERE, read_image=image, read_archive=archive)


def yaml_environment(text: str) -> object:
    return environment_yaml.parse(text, SOURCE, {}, FILES)


def profile(text: str) -> object:
    return cluster_profile.parse(text, SOURCE, directory=HERE, read_archive=archive)


PARSERS: dict[str, tuple[Callable[[str], object], str]] = {
    "classic nodes": (classic_nodes, "n1 00:02:73:49:9c:8d 10.0.0.1\n\\#\nsda 800\n1 5 swap\n5 9 x\n4 99 extended\n"),
    "nodes on GPT": (gpt_nodes, "n1 00:02:73:49:9c:8d 10.0.0.1\n\\#\nsda 800\n1 5 swap\n128 9 x\n"),
    "clusternodes.conf": (lambda text: cluster_files.parse_nodes(text, SOURCE), "n1 00:02:73:49:9c:8d 10.0.0.1\n"),
    "clusterpartition.conf": (
        lambda text: cluster_files.parse_disk(text, SOURCE),
        (
            "block_device=hda size=900\npart=1 size=9 fdisktype=82 label=swap\npart=4 size=99 type=extended\n"
            "part=5 size=5 label=tmp type=logical\n"
        ),
    ),
    "nodes in YAML": (
        lambda text: nodes_yaml.parse(text, SOURCE),
        (
            "firmware: uefi\nlabels: {a: b}\ndisks:\n- {device: sda, size: 8 GiB, table: gpt, partitions: [{number: 1, "
            "size: 9, role: swap, label: x, type: primary, type_id: 0x82}]}\nnodes:\n- name: n-[01-03]\n"
            "  mac: 52:54:00:00:00:[0a-0c]\n  ip: 10.0.0.[1-3]\n  bmc: '{name}-b'\n"
        ),
    ),
    "disks in YAML": (
        lambda text: nodes_yaml.parse_disks(text, SOURCE),
        "disks: [{device: sda, size: 900, partitions: [{number: 4, size: 99, type: extended}, {number: 5, size: 9}]}]",
    ),
    "an environment": (
        classic_environment,
        (
            "name = d\nkernelpath = mboot.c32\ninitrdpath = /x a --- /k b --- /i\nfilebase = i.tgz\nfilesite = p.tgz\n"
            "size = 5\nversion = 2\nfdisktype = 83\nvisibility = shared\n"
        ),
    ),
    "an environment in YAML": (
        yaml_environment,
        (
            "name: d\nalias: e\narch: x86_64\ncustom_variables: {A: b}\noptions: {kexec: false, x: 1}\n"
            "version: 2\nos: xen\nvisibility: shared\nimage: {file: i, kind: tar, compression: xz}\n"
            "preinstall: {archive: a.tgz, compression: gzip, script: none}\npostinstalls:\n- {archive: b.tgz}\n"
            "boot: {kernel: /k, initrd: /i, hypervisor: /x}\nfilesystem: ext4\npartition_type: 0x83\n"
        ),
    ),
    "a profile": (
        profile,
        (
            "first_check_timeout: 3\nstep_policies: {format: {timeout: 9, retries: 1}}\nreboot_ladder: [soft, hard]\n"
            "commands: {console: [a, '{name}'], hard_reboot: x y}\npreinstall: {archive: a.tgz}\n"
            "default_environment: {name: x, version: 3, partition: 2}\nmkfs_options: {ext4: -x}\n"
        ),
    ),
    "command templates": (
        lambda text: cluster_profile.parse_commands(text, SOURCE),
        "soft_reboot: a b\nconsole: [c]\n",
    ),
}
# Words that mean something to a parser, and words that mean something to a careless one. Separated by "·".
NASTY = (
    "· ·\t·#·\\#·=·:·- ·[·]·{·}·&a·*a·!!binary x·|·'·\"·\0·\x85·é·-1·0·1_0·٣·1e9·[1-99999999]·[z-a]·[0-ffffffff]·0x·~·"
    "null·\r\n·extended·swap·name·nodes·part=·<<: *a·---·...·? ·% ·\ud7ff·\U0001f600·" + "9" * 30
)
WORDS = st.sampled_from(NASTY.split("·"))


def told(parser: Callable[[str], object], text: str) -> None:
    said: UsageFailure | None = None
    try:
        parser(text)
    except UsageFailure as failure:
        said = failure
    for problem in said.problems if isinstance(said, SeveralProblems) else (said,):
        if isinstance(problem, DescriptionFailure):
            assert TOLD.match(problem.message), problem.message
            assert len(problem.message) < 1000
        elif problem is not None:
            # Something is missing from the whole, which no line can be blamed for.
            whole = r"the environment has no \w+|with kernelpath mboot.c32"
            assert re.match(whole, problem.message), problem.message


@pytest.mark.parametrize("name", PARSERS)
def test_the_examples_can_be_read(name: str) -> None:
    parser, example = PARSERS[name]
    assert parser(example)


@pytest.mark.parametrize("name", PARSERS)
@QUICK
@given(data=st.data())
def test_a_file_with_something_put_in_or_taken_out_is_read_or_refused(name: str, data: st.DataObject) -> None:
    parser, text = PARSERS[name]
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 12)))
        text = text[:start] + data.draw(WORDS) + text[end:]
    told(parser, text)


@pytest.mark.parametrize("name", PARSERS)
@QUICK
@given(text=st.lists(WORDS | st.text(max_size=8), max_size=30).map("".join))
def test_any_text_is_read_or_refused(name: str, text: str) -> None:
    looks_like_yaml(text, SOURCE)
    told(PARSERS[name][0], text)


@given(content=st.binary(max_size=200))
def test_any_bytes_are_text_or_refused(content: bytes) -> None:
    told(lambda _: nodes_file.parse(decode(content, SOURCE), SOURCE), "")
