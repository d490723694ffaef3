"""What operations hold, in memory."""

from collections.abc import Mapping, Sequence

from kadeploy_deployer.app.operation_store import NewOperation, NodeKnowledge


class FakeOperationStore:
    """Keeps locks and consoles in memory.

    `held`: node to its holder; a test writes deployments into it. `known`: what is known of nodes. `lost`: operations
    find their lease expired. `running`: what was noted to run.
    """

    def __init__(self) -> None:
        self.held: dict[str, str] = {}
        self.consoles: dict[str, tuple[str, str]] = {}
        self.known: dict[str, NodeKnowledge] = {}
        self.running: dict[str, tuple[str, ...]] = {}
        self.lost = False
        self.renewals = 0

    async def lock_nodes(self, operation: NewOperation, nodes: Sequence[str]) -> Mapping[str, str]:
        """As in the port."""
        busy = {node: self.held[node] for node in nodes if node in self.held}
        self.held.update({node: operation.id for node in nodes if node not in busy})
        return busy

    async def take_console(self, operation: NewOperation, node: str) -> str:
        """As in the port."""
        if node in self.consoles:
            return self.consoles[node][1]
        self.consoles[node] = (operation.id, operation.owner)
        return ""

    async def renew(self, operation_id: str, *, now: float, lease_expires_at: float) -> int:
        """As in the port."""
        self.renewals += 1
        holders = [*self.held.values(), *(holder for holder, _ in self.consoles.values())]
        return 0 if self.lost else holders.count(operation_id)

    async def release(self, operation_id: str) -> None:
        """As in the port."""
        self.held = {node: holder for node, holder in self.held.items() if holder != operation_id}
        self.consoles = {node: slot for node, slot in self.consoles.items() if slot[0] != operation_id}

    async def knowledge(self, nodes: Sequence[str]) -> Mapping[str, NodeKnowledge]:
        """As in the port."""
        return {node: self.known.get(node, NodeKnowledge()) for node in nodes}

    async def note_running(self, operation_id: str, node: str, host_keys: Sequence[str]) -> None:
        """As in the port."""
        if self.held.get(node) == operation_id:
            self.running[node] = tuple(host_keys)
