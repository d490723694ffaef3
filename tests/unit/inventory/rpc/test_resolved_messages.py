"""Messages of resolved nodes: as the nodes stand and as this call comes out, although they were written before."""

from typing import Any

import pytest

from kadeploy_inventory.app.resolution import ResolvedNode
from kadeploy_inventory.rpc.resolved_messages import ResolvedMessages
from tests.unit.inventory.builders import node


def resolved(number: int = 1, *, etag: str = "e", **changes: Any) -> ResolvedNode:
    told: dict[str, Any] = {"allowed": True, "device": "sda", "partition": 3}
    return ResolvedNode(name=f"node-{number}", node=node(number, etag=etag), **(told | changes))


def test_a_node_that_stands_as_it_did_is_written_once() -> None:
    messages = ResolvedMessages()
    (first,), (second,) = messages.of([resolved()]), messages.of([resolved()])
    assert second is first
    assert (first.name, first.node.name, first.node.bmc_address) == ("node-1", "node-1", "node-1-bmc")


@pytest.mark.parametrize("changes", [{"allowed": False}, {"device": "sdb"}, {"partition": 2}])
def test_what_this_call_comes_to_is_told(changes: dict[str, Any]) -> None:
    messages = ResolvedMessages()
    messages.of([resolved()])
    (message,) = messages.of([resolved(**changes)])
    assert {name: getattr(message, name) for name in changes} == changes


def test_a_node_that_was_changed_is_written_anew() -> None:
    messages = ResolvedMessages()
    messages.of([resolved()])
    changed = node(1, etag="f", ip_address="10.9.9.9")
    (message,) = messages.of([ResolvedNode(name="node-1", node=changed, allowed=True, device="sda", partition=3)])
    assert message.node.ip_address == "10.9.9.9"


def test_a_node_that_is_not_registered_has_a_target_and_no_more() -> None:
    unknown = ResolvedNode(name="node-9", node=None, allowed=False, device="sda", partition=3)
    (message,) = ResolvedMessages().of([unknown])
    assert (message.name, message.HasField("node"), message.partition) == ("node-9", False, 3)


def test_more_nodes_than_there_is_room_for_are_told_all_the_same() -> None:
    messages = ResolvedMessages(most=2)
    wanted = [resolved(number) for number in range(5)]
    for _ in range(2):
        assert [message.name for message in messages.of(wanted)] == [each.name for each in wanted]
    (first,) = messages.of(wanted[:1])
    messages.of(wanted[1:3])
    (anew,) = messages.of(wanted[:1])
    assert anew == first
    assert anew is not first
