"""Nodes that were read before are those of this answer: a message that differs in anything is read anew."""

from typing import Any

import pytest

from kadeploy.inventory.v1 import (
    cluster_pb2,
    command_template_pb2,
    inventory_service_pb2,
    node_pb2,
    power_driver_pb2,
)
from kadeploy_deployer.adapters.inventory_nodes import NodeReader
from kadeploy_deployer.ports import ResolvedNode


def answer(
    *numbers: int, reboot: str = "", driver: str = "", allowed: bool = True, partition: int = 3, **changes: Any
) -> Any:
    node: dict[str, Any] = {"mac_address": "02:00:00:00:00:01", "ip_address": "10.0.0.1", "cluster": "big"} | changes
    commands = command_template_pb2.CommandTemplates()
    if reboot:
        commands.hard_reboot.arguments.append(reboot)
    profile = cluster_pb2.ClusterProfile(commands=commands)
    if driver:
        kind = power_driver_pb2.POWER_DRIVER_KIND_IPMI
        profile.power_driver.MergeFrom(power_driver_pb2.PowerDriver(kind=kind, user="a", password_file=driver))
    return inventory_service_pb2.ResolveDeploymentResponse(
        nodes=[
            inventory_service_pb2.ResolvedNode(
                name=f"node-{number}",
                node=node_pb2.Node(name=f"node-{number}", **node),
                allowed=allowed,
                device="sda",
                partition=partition,
            )
            for number in numbers
        ],
        clusters=[cluster_pb2.Cluster(name="big", profile=profile)],
    )


def read_anew(response: Any) -> tuple[ResolvedNode, ...]:
    return NodeReader().read(response)


def test_the_same_message_is_read_once() -> None:
    reader = NodeReader()
    assert all(
        again is first for first, again in zip(reader.read(answer(1, 2)), reader.read(answer(1, 2)), strict=True)
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"ip_address": "10.0.0.2"},
        {"allowed": False},
        {"partition": 2},
        {"labels": {"rack": "a"}},
        {"disks": [node_pb2.Disk(device="sda", size_bytes=1)]},
        {"reboot": "ipmitool"},
        {"driver": "bmc"},
        {"cluster": "small"},
    ],
)
def test_whatever_has_changed_is_told(changes: dict[str, Any]) -> None:
    reader = NodeReader()
    (before,) = reader.read(answer(1))
    (after,) = reader.read(answer(1, **changes))
    assert after != before
    assert (after,) == read_anew(answer(1, **changes))
    assert reader.read(answer(1)) == (before,)


def test_a_node_that_became_unknown_has_nothing_left() -> None:
    reader = NodeReader()
    reader.read(answer(1))
    unknown = inventory_service_pb2.ResolveDeploymentResponse(nodes=[inventory_service_pb2.ResolvedNode(name="node-1")])
    assert reader.read(unknown) == (ResolvedNode(name="node-1", snapshot=None, allowed=False),)


def test_more_nodes_than_there_is_room_for_are_read_all_the_same() -> None:
    reader = NodeReader(most=2)
    wanted = answer(1, 2, 3)
    for response in (wanted, answer(1, 2), wanted, answer(3), wanted):
        assert reader.read(response) == read_anew(response)
