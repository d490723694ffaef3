"""The journal of batches: the nodes and file names that a batch may leave half-changed when it is cut off."""

from collections.abc import Iterable

from kadeploy_bootctl.domain.errors import TreeDamaged
from kadeploy_bootctl.tree import notes
from kadeploy_bootctl.tree.directory import PRIVATE_FILE, Directory

PENDING = "pending"
LARGEST_BYTES = 16 << 20


class BatchJournal:
    """The file in the state directory, and what of it is unfinished.

    Attributes:
        nodes, names: what failed batches may have left half-changed; it stays in the file.
    """

    def __init__(self) -> None:
        self.nodes: set[str] = set()
        self.names: set[str] = set()

    @property
    def is_unfinished(self) -> bool:
        """Returns whether an earlier batch is not finished."""
        return bool(self.nodes or self.names)

    def read(self, state: Directory) -> bool:
        """Takes over what a killed process has left; returns whether there was a journal. Raises TreeDamaged."""
        content = state.read(PENDING, limit=LARGEST_BYTES)
        if content is None:
            return False
        try:
            self.remember(*notes.read_pending_note(content))
        except notes.UnreadableNote as error:
            raise TreeDamaged(f"{state.path}/{PENDING}", f"cannot be read ({error}): remove it") from error
        return True

    def begin(self, state: Directory, nodes: Iterable[str], names: Iterable[str]) -> None:
        """Writes down what a batch may change, durably. Raises NoSpace."""
        content = notes.pending_note(self.nodes.union(nodes), self.names.union(names))
        temporary = state.write(content, mode=PRIVATE_FILE)
        state.make_durable([temporary])
        state.rename(temporary, PENDING)
        state.sync()

    def remember(self, nodes: Iterable[str], names: Iterable[str]) -> None:
        """Notes that a batch is not finished."""
        self.nodes.update(nodes)
        self.names.update(names)

    def end(self, state: Directory) -> None:
        """Removes the file, unless something in it is unfinished."""
        if not self.is_unfinished:
            state.remove(PENDING)

    def forget(self) -> None:
        """Notes that everything is finished."""
        self.nodes.clear()
        self.names.clear()
