"""Resolved nodes as messages. What was written once is not written again while the node stands as it did."""

from collections.abc import Iterable
from typing import Final

from kadeploy.inventory.v1 import inventory_service_pb2
from kadeploy_inventory.app.resolution import ResolvedNode
from kadeploy_inventory.domain.node import Node
from kadeploy_inventory.rpc.node_messages import KnownDisks, node_to_message

MOST: Final = 50_000
"""So many messages are kept at most; under 1 KiB each."""

_Key = tuple[str, str, bool, str, int]


class ResolvedMessages:
    """Writes the messages of one process. Threads share it: a message that is kept is copied and never changed."""

    def __init__(self, *, most: int = MOST) -> None:
        self._most = most
        self._known: dict[_Key, inventory_service_pb2.ResolvedNode] = {}

    def of(self, resolved: Iterable[ResolvedNode]) -> list[inventory_service_pb2.ResolvedNode]:
        """Returns the messages of nodes, to be copied into an answer."""
        known, new = self._known, dict[_Key, inventory_service_pb2.ResolvedNode]()
        disks: KnownDisks = {}
        messages = []
        for each in resolved:
            node = each.node
            if node is None:
                messages.append(_message(each))
                continue
            # A node has another etag with every change of it.
            key = (each.name, node.etag, each.allowed, each.device, each.partition)
            message = known.get(key)
            if message is None:
                message = new[key] = _message(each, node, disks)
            messages.append(message)
        if new:
            self._keep(new)
        return messages

    def _keep(self, new: dict[_Key, inventory_service_pb2.ResolvedNode]) -> None:
        if len(self._known) + len(new) > self._most:
            # Those of nodes that have changed among them.
            self._known = {}
        if len(new) <= self._most:
            self._known.update(new)


def _message(
    resolved: ResolvedNode, node: Node | None = None, disks: KnownDisks | None = None
) -> inventory_service_pb2.ResolvedNode:
    message = inventory_service_pb2.ResolvedNode(
        name=resolved.name,
        node=None if node is None else node_to_message(node, disks),
        allowed=resolved.allowed,
        device=resolved.device,
        partition=resolved.partition,
    )
    if node is not None:
        message.node.bmc_address = node.controller
    return message
