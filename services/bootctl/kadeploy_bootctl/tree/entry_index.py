"""The entries in memory, by node and by file name: who may write which name."""

from collections.abc import Sequence

from kadeploy_bootctl.app.ports import WrittenEntry
from kadeploy_bootctl.domain.boot_entry import (
    BootEntry,
    BootNode,
    address_name,
    file_names,
    hardware_name,
    uuid_names,
)
from kadeploy_bootctl.domain.errors import InvalidBootEntry


class EntryIndex:
    """Every entry that is written. Two nodes never share a MAC or an IP address."""

    def __init__(self) -> None:
        self._by_node: dict[str, WrittenEntry] = {}
        self._node_of: dict[str, str] = {}
        self._node_by_address: dict[str, str] = {}

    def get(self, node: str) -> WrittenEntry | None:
        """Returns the node's entry, or None."""
        return self._by_node.get(node)

    def all(self) -> Sequence[WrittenEntry]:
        """Returns every entry, by node name."""
        return [written for _, written in sorted(self._by_node.copy().items())]

    def names_of(self, node: str) -> tuple[str, ...]:
        """Returns the file names of the node's entry; none when there is no entry."""
        written = self._by_node.get(node)
        return file_names(written.entry.node) if written else ()

    def owner_of(self, file_name: str) -> WrittenEntry | None:
        """Returns the entry that a file name belongs to, or None."""
        node = self._node_of.get(file_name)
        return self._by_node[node] if node is not None else None

    def holder_of(self, file_name: str) -> str | None:
        """Returns the node whose entry a file name belongs to, or None."""
        return self._node_of.get(file_name)

    def node_with(self, address: str) -> str | None:
        """Returns the node whose entry has this address, one of `addresses`, whatever its firmware; or None."""
        return self._node_by_address.get(address)

    def put(self, written: WrittenEntry) -> None:
        """Adds the entry or takes the place of the node's older one."""
        node = written.entry.node.name
        old = self._by_node.get(node)
        # Readers without the lock never find a node without its entry in between.
        self._by_node[node] = written
        for name in file_names(written.entry.node):
            self._node_of[name] = node
        for address in addresses(written.entry.node):
            self._node_by_address[address] = node
        if old:
            self._forget(old, except_of=written)

    def remove(self, node: str) -> None:
        """Forgets the node's entry, if there is one."""
        if old := self._by_node.get(node):
            self._forget(old)
            del self._by_node[node]

    def _forget(self, old: WrittenEntry, *, except_of: WrittenEntry | None = None) -> None:
        kept_names = file_names(except_of.entry.node) if except_of else ()
        kept_addresses = addresses(except_of.entry.node).keys() if except_of else set()
        for name in file_names(old.entry.node):
            if name not in kept_names:
                del self._node_of[name]
        for address in addresses(old.entry.node):
            if address not in kept_addresses:
                del self._node_by_address[address]


def addresses(node: BootNode) -> dict[str, str]:
    """Returns what only one node may have, with the field that says it."""
    taken = {hardware_name(node): "node.mac_address", address_name(node): "node.ip_address"}
    return taken | dict.fromkeys(uuid_names(node), "node.uuid")


class Claims:
    """The names that the entries of one batch take, before they are written."""

    def __init__(self, index: EntryIndex) -> None:
        self._index = index
        self._taken: dict[str, str] = {}

    def take(self, entry: BootEntry) -> None:
        """Claims the entry's names, or raises InvalidBootEntry when another node has the MAC or the IP address."""
        wanted = addresses(entry.node)
        for address, field in wanted.items():
            holder = self._taken.get(address) or self._index.node_with(address)
            if holder not in {None, entry.node.name}:
                raise InvalidBootEntry(field, f"belongs to the entry of node {holder}: clear that entry first")
        self._taken |= dict.fromkeys(wanted, entry.node.name)
