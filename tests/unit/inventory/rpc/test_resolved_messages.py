"""Messages of resolved nodes: as the nodes stand and as this call comes out, although they were written before."""

from typing import Any

import pytest

from kadeploy.inventory.v1 import inventory_service_pb2
from kadeploy_inventory.app.resolution import ResolvedNode
from kadeploy_inventory.rpc import resolved_messages
from kadeploy_inventory.rpc.resolved_messages import ResolvedMessages
from tests.unit.inventory.builders import node


def resolved(number: int = 1, *, etag: str = "e", **changes: Any) -> ResolvedNode:
    told: dict[str, Any] = {"allowed": True, "device": "sda", "partition": 3}
    return ResolvedNode(name=f"node-{number}", node=node(number, etag=etag), **(told | changes))


def written(messages: ResolvedMessages, *nodes: ResolvedNode) -> list[inventory_service_pb2.ResolvedNode]:
    return list(inventory_service_pb2.ResolveDeploymentResponse.FromString(messages.of(nodes)).nodes)


def test_nodes_are_told_in_their_order_and_again_as_they_were() -> None:
    messages = ResolvedMessages()
    first = written(messages, resolved(2), resolved(1))
    assert [(each.name, each.node.name, each.node.bmc_address) for each in first] == [
        ("node-2", "node-2", "node-2-bmc"),
        ("node-1", "node-1", "node-1-bmc"),
    ]
    assert written(messages, resolved(1), resolved(2), resolved(1)) == [first[1], first[0], first[1]]


def test_a_node_that_stands_as_it_did_is_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    messages = ResolvedMessages()
    before = written(messages, resolved(1))
    monkeypatch.setattr(resolved_messages, "node_to_message", None)
    assert written(messages, resolved(1)) == before


@pytest.mark.parametrize("changes", [{"allowed": False}, {"device": "sdb"}, {"partition": 2}])
def test_what_this_call_comes_to_is_told(changes: dict[str, Any]) -> None:
    messages = ResolvedMessages()
    written(messages, resolved())
    (message,) = written(messages, resolved(**changes))
    assert {name: getattr(message, name) for name in changes} == changes


def test_a_node_that_was_changed_is_written_anew() -> None:
    messages = ResolvedMessages()
    written(messages, resolved())
    changed = node(1, etag="f", ip_address="10.9.9.9")
    (message,) = written(messages, ResolvedNode(name="node-1", node=changed, allowed=True, device="sda", partition=3))
    assert message.node.ip_address == "10.9.9.9"


def test_a_node_that_is_not_registered_has_a_target_and_no_more_even_if_it_was_there() -> None:
    messages = ResolvedMessages()
    written(messages, resolved(allowed=False))
    unknown = ResolvedNode(name="node-1", node=None, allowed=False, device="sda", partition=3)
    (message,) = written(messages, unknown)
    assert (message.name, message.HasField("node"), message.partition) == ("node-1", False, 3)


def test_more_nodes_than_there_is_room_for_are_told_all_the_same() -> None:
    messages = ResolvedMessages(most=2)
    wanted = [resolved(number) for number in range(5)]
    for some in (wanted, wanted[:1], wanted[1:3], wanted):
        assert [message.name for message in written(messages, *some)] == [each.name for each in some]
