"""The snapshots of a deployment's nodes, as one text and back."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadeploy_deployer.domain.snapshot import CommandSnapshot, NodeSnapshot, PowerDriverSnapshot
from kadeploy_deployer.domain.vocabulary import Firmware, PowerDriverKind
from kadeploy_deployer.store.node_documents import pack, unpack
from tests.fakes.deployment_world import node

ALIKE = [node("node1"), node("node2"), node("node3")]
DIFFERENT = [
    node("node1"),
    replace(node("node2"), ip_address="10.0.0.2", partition=2, firmware=Firmware.UEFI),
    replace(
        node("node4"),
        power_driver=PowerDriverSnapshot(kind=PowerDriverKind.IPMI, user="admin", password_file="/etc/kadeploy/bmc"),
        power_sharers=("node1", "node2"),
        group_commands=("power_off",),
    ),
    replace(node("node3"), disks=(), labels={"rack": "7"}, commands=CommandSnapshot(console=("screen", "é"))),
]


@pytest.mark.parametrize("nodes", [[], ALIKE[:1], ALIKE, DIFFERENT], ids=["none", "one", "alike", "different"])
def test_nodes_come_back_unchanged_by_their_names(nodes: list[NodeSnapshot]) -> None:
    assert unpack(pack(nodes)) == {one.name: one for one in nodes}


@given(st.lists(st.builds(NodeSnapshot), unique_by=lambda one: one.name, max_size=5))
def test_any_nodes_come_back_unchanged(nodes: list[NodeSnapshot]) -> None:
    assert unpack(pack(nodes)) == {one.name: one for one in nodes}


def test_what_nodes_have_in_common_is_written_once() -> None:
    many = [node(f"node{number}") for number in range(1000)]

    assert len(pack(many)) < 1000 * len('"node999",') + 1000


def test_a_text_of_an_older_release_takes_the_defaults_and_of_a_newer_one_what_is_known() -> None:
    document = json.loads(pack(DIFFERENT))
    del document["columns"]["labels"], document["columns"]["firmware"]
    document["columns"]["invented_later"] = [1, 2, 3, 4]
    document["same"]["invented_too"] = 1

    found = unpack(json.dumps(document))

    assert found["node3"] == replace(DIFFERENT[-1], labels={}, firmware=Firmware.BIOS)
