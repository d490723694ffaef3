"""The entries in memory, by node and by file name: who may write which name."""

from collections.abc import Sequence

from kadeploy_bootctl.app.ports import WrittenEntry
from kadeploy_bootctl.domain.boot_entry import BootEntry, file_names
from kadeploy_bootctl.domain.errors import InvalidBootEntry


class EntryIndex:
    """Every entry that is written. Two nodes never share a MAC or an IP address."""

    def __init__(self) -> None:
        self._by_node: dict[str, WrittenEntry] = {}
        self._node_of: dict[str, str] = {}

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

    def put(self, written: WrittenEntry) -> None:
        """Adds the entry or takes the place of the node's older one."""
        node, old = written.entry.node.name, self.names_of(written.entry.node.name)
        # Readers without the lock never find a node without its entry in between.
        self._by_node[node] = written
        for name in file_names(written.entry.node):
            self._node_of[name] = node
        for name in old:
            if name not in file_names(written.entry.node):
                del self._node_of[name]

    def remove(self, node: str) -> None:
        """Forgets the node's entry, if there is one."""
        for name in self.names_of(node):
            del self._node_of[name]
        self._by_node.pop(node, None)


class Claims:
    """The names that the entries of one batch take, before they are written."""

    def __init__(self, index: EntryIndex) -> None:
        self._index = index
        self._taken: dict[str, str] = {}

    def take(self, entry: BootEntry) -> None:
        """Claims the entry's names, or raises InvalidBootEntry when another node has the MAC or the IP address."""
        hardware, address = file_names(entry.node)
        for field, name in (("node.mac_address", hardware), ("node.ip_address", address)):
            holder = self._taken.get(name) or self._index.holder_of(name)
            if holder not in {None, entry.node.name}:
                raise InvalidBootEntry(field, f"belongs to the entry of node {holder}: clear that entry first")
        self._taken |= {hardware: entry.node.name, address: entry.node.name}
