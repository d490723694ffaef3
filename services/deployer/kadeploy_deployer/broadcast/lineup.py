"""Puts nodes into chains, as they become ready: those of one moment ordered by address, later ones behind them."""

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address

from kadeploy_deployer.broadcast.chains import how_many_chains
from kadeploy_deployer.broadcast.instructions import ChainSettings, Place, quantum_for, which_part
from kadeploy_deployer.broadcast.node_session import NodeSession


class Lineup:
    """The chains of one session.

    Args:
        settings: how broadcasts are done.
        size: bytes of the file.
    """

    def __init__(self, settings: ChainSettings, size: int) -> None:
        self._settings = settings
        self._size = size
        self._starting: set[NodeSession] = set()
        self._ready: list[NodeSession] = []
        self._chains: list[list[NodeSession]] = []
        self._timer: asyncio.TimerHandle | None = None

    def expect(self, node: NodeSession) -> None:
        """Notes that a node's program is being started."""
        self._starting.add(node)

    def settle(self, node: NodeSession) -> None:
        """Notes that a node is ready, or never will be."""
        self._starting.discard(node)
        if node.ready is not None and node.running:
            self._ready.append(node)
        if self._ready and not self._starting:
            self._form()
        elif self._ready and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._settings.gather_bound, self._form)

    def remove(self, node: NodeSession) -> None:
        """Takes a node out."""
        if node in self._ready:
            self._ready.remove(node)
        for chain in self._chains:
            if node in chain:
                chain.remove(node)
        if node in self._starting:
            self.settle(node)

    def close(self) -> None:
        """Forms nothing any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _form(self) -> None:
        """Appends those who are ready to the chains."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        nodes, self._ready = sorted(self._ready, key=_address_of), []
        if not self._chains:
            self._chains = [[] for _ in range(self._how_many(nodes))]
        length = -(-len(nodes) // len(self._chains))
        # The shortest chain gets the first, so that many who come late one by one do not all end in the same.
        shortest_first = sorted(range(len(self._chains)), key=lambda number: len(self._chains[number]))
        for place, number in enumerate(shortest_first):
            self._append(number, nodes[place * length : (place + 1) * length])

    def _append(self, number: int, nodes: Sequence[NodeSession]) -> None:
        chain = self._chains[number]
        quantum = quantum_for(self._size, len(chain) + len(nodes))
        for node in nodes:
            before: list[Place] = [each.ready for each in chain if each.ready is not None and each.is_serving]
            if node.source is None:
                continue
            node.begin(
                which_part(
                    before,
                    node.source,
                    chain=number,
                    quantum=quantum,
                    predecessors=self._settings.predecessors,
                )
            )
            chain.append(node)

    def _how_many(self, nodes: Sequence[NodeSession]) -> int:
        if self._settings.chains:
            return self._settings.chains
        speeds = [node.link_mbits for node in nodes]
        source = nodes[0].source
        return how_many_chains(
            self._size,
            nodes=len(nodes),
            node_mbits=min(speeds),
            source_address=source.address if source is not None else "",
        )


def _address_of(node: NodeSession) -> tuple[int, str]:
    """Neighbours in the chain are neighbours on the network, as far as addresses can tell."""
    try:
        return int(ip_address(node.address)), node.name
    except ValueError:
        return 0, node.name
