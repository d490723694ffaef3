"""What operations hold, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kadeploy_deployer.domain.control_errors import OutcomeUnknown
from kadeploy_deployer.domain.error_record import ErrorRecord
from kadeploy_deployer.ports.operation_store import (
    AskedBefore,
    KnownRequest,
    NewOperation,
    NodeKnowledge,
    NodeNote,
    Renewal,
    RequestName,
)


@dataclass(slots=True, kw_only=True)
class Request:
    """A request that can be made again."""

    operation: NewOperation
    name: RequestName
    begun: dict[str, str] = field(default_factory=dict)
    nodes: set[str] = field(default_factory=set)
    outcomes: dict[str, ErrorRecord | None] = field(default_factory=dict)
    ended: bool = False
    stop_asked: bool = False


class FakeOperationStore:
    """Keeps locks and consoles in memory.

    `held`: node to its holder; a test writes deployments into it. `leases`: operations whose leases are held; a test
    drops those of the dead. `known`: what is known of nodes. `lost`: operations find that they hold none any more.
    `running`: what was noted to run.
    """

    def __init__(self) -> None:
        self.held: dict[str, str] = {}
        self.leases: set[str] = set()
        self.consoles: dict[str, tuple[str, str]] = {}
        self.known: dict[str, NodeKnowledge] = {}
        self.requests: list[Request] = []
        self.running: dict[str, tuple[str, ...]] = {}
        self.lost = False
        self.renewals = 0

    async def lock_nodes(self, operation: NewOperation, nodes: Sequence[str]) -> Mapping[str, str]:
        """As in the port."""
        busy = {node: self.held[node] for node in nodes if node in self.held}
        if len(busy) < len(nodes):
            self.leases.add(operation.id)
        self.held.update({node: operation.id for node in nodes if node not in busy})
        return busy

    async def take_console(self, operation: NewOperation, node: str) -> str:
        """As in the port."""
        if node in self.consoles:
            return self.consoles[node][1]
        self.leases.add(operation.id)
        self.consoles[node] = (operation.id, operation.owner)
        return ""

    async def renew(self, operation_id: str) -> Renewal:
        """As in the port."""
        self.renewals += 1
        mine = self._driven_by(operation_id)
        return Renewal(
            held=not self.lost and operation_id in self.leases, stop_asked=mine is not None and mine.stop_asked
        )

    async def release(self, operation_id: str) -> None:
        """As in the port."""
        self.held = {node: holder for node, holder in self.held.items() if holder != operation_id}
        self.consoles = {node: slot for node, slot in self.consoles.items() if slot[0] != operation_id}
        self.leases.discard(operation_id)
        if mine := self._driven_by(operation_id):
            mine.ended = mine.outcomes.keys() == mine.nodes

    async def open_request(
        self, operation: NewOperation, request: RequestName, nodes: Sequence[str], *, refused: Mapping[str, ErrorRecord]
    ) -> Mapping[str, ErrorRecord | None]:
        """As in the port."""
        found = self._find(request.owner, request.request_id)
        if found is None:
            found = Request(operation=operation, name=request)
            self.requests.append(found)
        elif found.ended or found.operation.id in self.leases:
            raise AskedBefore
        else:
            found.operation = operation
            for node in [node for node, mark in found.begun.items() if not mark and node not in found.outcomes]:
                found.outcomes[node] = ErrorRecord.from_error(OutcomeUnknown(node))
        self.leases.add(operation.id)
        found.nodes.update(nodes)
        for node, error_record in refused.items():
            found.outcomes.setdefault(node, error_record)
        return dict(found.outcomes)

    async def known_request(self, owner: str, request_id: str) -> KnownRequest | None:
        """As in the port."""
        found = self._find(owner, request_id)
        if found is None:
            return None
        return KnownRequest(
            fingerprint=found.name.fingerprint,
            is_driven=found.operation.id in self.leases,
            ended=found.ended,
            stop_asked=found.stop_asked,
            outcomes=dict(found.outcomes),
        )

    async def note_nodes(self, operation_id: str, notes: Sequence[NodeNote]) -> bool:
        """As in the port."""
        mine = self._driven_by(operation_id)
        if mine is None:
            return False
        for note in notes:
            if note.ended:
                mine.outcomes.setdefault(note.node, note.error_record)
            else:
                mine.begun[note.node] = note.mark
        return True

    async def marks(self, operation_id: str) -> Mapping[str, str]:
        """As in the port."""
        mine = self._driven_by(operation_id)
        begun = mine.begun if mine is not None else {}
        return {node: mark for node, mark in begun.items() if mark and mine is not None and node not in mine.outcomes}

    async def ask_stop(self, owner: str, request_id: str) -> bool:
        """As in the port."""
        found = self._find(owner, request_id)
        if found is not None:
            found.stop_asked = True
        return found is not None

    async def forget_requests(self, *, before: float) -> bool:
        """As in the port."""
        old = [one for one in self.requests if one.operation.now < before and one.operation.id not in self.leases]
        self.requests = [one for one in self.requests if one not in old]
        return bool(old)

    def _find(self, owner: str, request_id: str) -> Request | None:
        wanted = (owner, request_id)
        return next((one for one in self.requests if (one.name.owner, one.name.request_id) == wanted), None)

    def _driven_by(self, operation_id: str) -> Request | None:
        return next((one for one in self.requests if one.operation.id == operation_id), None)

    async def knowledge(self, nodes: Sequence[str]) -> Mapping[str, NodeKnowledge]:
        """As in the port."""
        return {node: self.known.get(node, NodeKnowledge()) for node in nodes}

    async def note_running(self, operation_id: str, node: str, host_keys: Sequence[str]) -> None:
        """As in the port."""
        if self.held.get(node) == operation_id:
            self.running[node] = tuple(host_keys)
