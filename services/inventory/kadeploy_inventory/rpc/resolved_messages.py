"""Resolved nodes as bytes of an answer. What was written once is not written again while the node stands as it did.

On the wire, messages add up: the bytes of two answers, one after the other, are one answer with the nodes of both.
"""

from collections.abc import Iterable
from typing import Final

from kadeploy.inventory.v1 import inventory_service_pb2
from kadeploy_inventory.app.resolution import ResolvedNode
from kadeploy_inventory.rpc.node_messages import KnownDisks, node_to_message

MOST: Final = 50_000
"""So many nodes are kept at most; under 1 KiB each."""

_Key = tuple[str, str, bool, str, int, str, str]


class ResolvedMessages:
    """Writes the nodes of one process's answers. Threads share it: what is kept is never changed."""

    def __init__(self, *, most: int = MOST) -> None:
        self._most = most
        self._known: dict[_Key, bytes] = {}

    def of(self, resolved: Iterable[ResolvedNode]) -> bytes:
        """Returns the bytes of an answer that has these nodes and nothing else, to be merged into one that has more."""
        known, new = self._known, dict[_Key, bytes]()
        disks: KnownDisks = {}
        written = []
        for each in resolved:
            node = each.node
            # A node has another etag with every change of it; one that is not registered has none.
            key = (
                each.name,
                "" if node is None else node.etag,
                each.allowed,
                each.device,
                each.partition,
                each.controller,
                each.power_sharers,
            )
            wire = known.get(key)
            if wire is None:
                wire = new[key] = _answer(each, disks)
            written.append(wire)
        if new:
            self._keep(new)
        return b"".join(written)

    def _keep(self, new: dict[_Key, bytes]) -> None:
        if len(self._known) + len(new) > self._most:
            # Those of nodes that have changed among them.
            self._known = {}
        if len(new) <= self._most:
            self._known.update(new)


def _answer(resolved: ResolvedNode, disks: KnownDisks) -> bytes:
    node = resolved.node
    message = inventory_service_pb2.ResolvedNode(
        name=resolved.name,
        node=None if node is None else node_to_message(node, disks),
        allowed=resolved.allowed,
        device=resolved.device,
        partition=resolved.partition,
        power_sharers=resolved.power_sharers,
    )
    if node is not None:
        message.node.bmc_address = resolved.controller or node.controller("")
    return inventory_service_pb2.ResolveDeploymentResponse(nodes=[message]).SerializeToString()
