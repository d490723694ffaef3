"""What a node is told about its part in the broadcast."""

import json

import pytest

from kabroadcast.document import Document, Part
from kadeploy_deployer.broadcast.instructions import (
    HTTP,
    ChainSettings,
    Place,
    quantum_for,
    what_to_receive,
    which_part,
)
from kadeploy_deployer.broadcast.manifest import Manifest
from kadeploy_deployer.ports import BroadcastSink, BroadcastTarget, ShellHost

SOURCE = Place(name="the deployer", address="192.0.2.1", port=4000)
TARGET = BroadcastTarget(
    host=ShellHost(name="n1", address="192.0.2.11", host_keys=("k",)),
    sink=BroadcastSink(kind="tar", compression="zstd", target="/mnt/dest"),
)
MANIFEST = Manifest(size=5, block_size=4, blocks=(b"a" * 32, b"b" * 32), sha256="c" * 64)


def place(number: int) -> Place:
    return Place(name=f"n{number}", address=f"192.0.2.{number + 10}", port=7301)


def test_the_nearest_predecessors_are_asked_first_and_the_source_at_last() -> None:
    before = [place(1), place(2), place(3), place(4)]
    part = Part(which_part(before, SOURCE, chain=2, quantum=8192, predecessors=3))
    assert [upstream.name for upstream in part.upstreams] == ["n4", "n3", "n2"]
    assert (part.upstreams[0].address, part.upstreams[0].port) == ("192.0.2.14", 7301)
    assert (part.source.address, part.source.port, part.source.source) == ("192.0.2.1", 4000, True)
    assert (part.chain, part.quantum) == (2, 8192)


def test_the_first_node_has_the_source_alone() -> None:
    assert Part(which_part([], SOURCE, chain=0, quantum=1, predecessors=3)).upstreams == []


def test_the_node_understands_what_the_deployer_writes() -> None:
    settings = ChainSettings(node_port=7301, leave_bound=3.0)
    line = what_to_receive(TARGET, MANIFEST, token="t", session_bound=99.5, settings=settings)
    assert line.count(b"\n") == 1
    document = Document(line)
    assert (document.name, document.token, document.address, document.port) == ("n1", "t", "192.0.2.11", 7301)
    assert (document.kind, document.compression, document.target) == ("tar", "zstd", "/mnt/dest")
    assert (document.size, document.blocks, document.manifest_size) == (5, 2, 4096)
    assert document.manifest_digest.hex() == MANIFEST.content_digest
    assert (document.bounds.session, document.bounds.leave) == (99.5, 3.0)


def test_a_node_is_told_little_however_large_the_file() -> None:
    manifest = Manifest(size=4 << 30, block_size=1 << 20, blocks=(b"a" * 32,) * 4096, sha256="c" * 64)
    assert len(what_to_receive(TARGET, manifest, token="t" * 64, session_bound=99, settings=ChainSettings())) < 1000


def test_by_http_nobody_is_asked_for_signs_of_life() -> None:
    settings = ChainSettings(method=HTTP, stall_bound=20)
    bounds = json.loads(what_to_receive(TARGET, MANIFEST, token="t", session_bound=9, settings=settings))["bounds"]
    assert (bounds["ask"], bounds["leave"]) == (10, 20)


@pytest.mark.parametrize(
    ("size", "nodes", "expected"),
    [
        (64 << 20, 1, 256 << 10),
        (64 << 20, 4, 128 << 10),
        (64 << 20, 8, 64 << 10),
        (16 << 20, 32, 8 << 10),
        (8 << 20, 64, 4 << 10),
        (1 << 30, 300, 32 << 10),
        (0, 0, 4 << 10),
    ],
)
def test_nodes_gather_less_the_more_they_are(size: int, nodes: int, expected: int) -> None:
    assert quantum_for(size, nodes) == expected
