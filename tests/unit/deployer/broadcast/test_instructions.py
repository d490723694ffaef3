"""What a node is told about its place in the chain."""

import json

from kabroadcast.document import Document
from kadeploy_deployer.broadcast.instructions import ChainSettings, Place, what_to_receive, whom_to_ask
from kadeploy_deployer.broadcast.manifest import Manifest
from kadeploy_deployer.ports import BroadcastSink, BroadcastTarget, ShellHost

SOURCE = Place(name="the deployer", address="192.0.2.1", port=4000)


def place(number: int) -> Place:
    return Place(name=f"n{number}", address=f"192.0.2.{number + 10}", port=7301)


def test_the_nearest_predecessors_are_asked_first_and_the_source_at_last() -> None:
    line = whom_to_ask([place(1), place(2), place(3), place(4)], SOURCE, predecessors=3)
    asked = json.loads(line)
    assert [upstream["name"] for upstream in asked["upstreams"]] == ["n4", "n3", "n2"]
    assert asked["upstreams"][0] == {"name": "n4", "address": "192.0.2.14", "port": 7301}
    assert asked["source"] == {"name": "the deployer", "address": "192.0.2.1", "port": 4000}


def test_the_first_node_has_the_source_alone() -> None:
    assert json.loads(whom_to_ask([], SOURCE, predecessors=3))["upstreams"] == []


def test_the_node_understands_what_the_deployer_writes() -> None:
    target = BroadcastTarget(
        host=ShellHost(name="n1", address="192.0.2.11", host_keys=("k",)),
        sink=BroadcastSink(kind="tar", compression="zstd", target="/mnt/dest"),
    )
    manifest = Manifest(size=5, block_size=4, blocks=(b"a" * 32, b"b" * 32), sha256="c" * 64)
    settings = ChainSettings(node_port=7301, stall_bound=3.0)
    line = what_to_receive(target, manifest, token="t", session_bound=99.5, settings=settings)
    assert line.count(b"\n") == 1
    document = Document(line)
    assert (document.name, document.token, document.address, document.port) == ("n1", "t", "192.0.2.11", 7301)
    assert (document.kind, document.compression, document.target) == ("tar", "zstd", "/mnt/dest")
    assert (document.size, document.hashes, document.sha256) == (5, list(manifest.blocks), manifest.sha256)
    assert [document.length(index) for index in range(2)] == [4, 1]
    assert (document.session_bound, document.stall_bound) == (99.5, 3.0)
