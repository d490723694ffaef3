"""One operation on nodes: takes their locks, journals what becomes of each, and gives everything back in the end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from kadeploy_deployer.domain.control_errors import (
    BootFilesFailed,
    NodeBusy,
    NodeUnreachable,
    NotThereAfterReboot,
    OperationLost,
    OperationStopped,
    PowerFailed,
    RunsOutOfTime,
    Unforeseen,
)
from kadeploy_deployer.domain.error_record import ErrorRecord, error_of
from kadeploy_deployer.domain.errors import StoreFailed
from kadeploy_deployer.engine.lease_holder import LeaseHolder, taken
from kadeploy_deployer.engine.operation_request import OperationRequest, Tell
from kadeploy_deployer.engine.racing import first_of
from kadeploy_deployer.engine.write_batcher import WriteBatcher
from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.ports import BootError, CommandTimedOut, ImageError, PowerError, ShellError
from kadeploy_deployer.ports.operation_store import NewOperation, NodeNote, OperationStore
from kadeploy_edge.errors import DomainError

logger = logging.getLogger(__name__)

NODES_AT_ONCE = 100

# What the ports say, in words for the caller; a kind stands before the kinds that it is one of.
_WORDS: Mapping[type[Exception], type[DomainError]] = {
    NodeFailed: NotThereAfterReboot,
    CommandTimedOut: RunsOutOfTime,
    ShellError: NodeUnreachable,
    PowerError: PowerFailed,
    BootError: BootFilesFailed,
    ImageError: BootFilesFailed,
}


class RunningOperation:
    """An operation at work: its id, and what becomes of its nodes, journalled before anybody is told."""

    def __init__(self, operation: NewOperation, request: OperationRequest, store: OperationStore, tell: Tell) -> None:
        self.id = operation.id
        self._operation = operation
        self._request = request
        self._store = store
        self._tell = tell
        self._notes: WriteBatcher[NodeNote] = WriteBatcher(self._write)
        self.marks: Mapping[str, str] = {}
        """Of nodes that a dead deployer had begun: what proves whether it was done."""
        self._begun: set[str] = set()
        self._ended: set[str] = set()

    async def open(self, nodes: Sequence[str], refused: Mapping[str, DomainError]) -> Sequence[str]:
        """Notes the request, tells of the nodes that have their outcome, and returns the others.

        Raises:
            AskedBefore: the request has an operation already.
        """
        outcomes: Mapping[str, DomainError | None] = refused
        if name := self._request.name:
            known = await self._store.open_request(
                self._operation,
                name,
                [*nodes, *refused],
                refused={node: ErrorRecord.from_error(error) for node, error in refused.items()},
            )
            outcomes = {node: error_of(error_record) for node, error_record in known.items()}
            self.marks = await self._store.marks(self.id)
        for node, error in outcomes.items():
            self._ended.add(node)
            self._tell(node, error)
        return [node for node in nodes if node not in outcomes]

    async def begin(self, node: str, *, mark: str = "") -> None:
        """Is called before anything is done to a node that must not be done twice; again for the same node, nothing.

        Args:
            node: its name.
            mark: what proves later whether it was done.

        Raises:
            OperationLost: another operation goes on with the request.
        """
        if node not in self._begun:
            self._begun.add(node)
            await self._note(NodeNote(node=node, mark=mark))

    async def tell(self, node: str, error: DomainError | None) -> None:
        """Says what became of a node: None when it went well."""
        await self._note(NodeNote(node=node, ended=True, error_record=ErrorRecord.from_error(error) if error else None))
        self._ended.add(node)
        self._tell(node, error)

    async def stop(self, nodes: Sequence[str]) -> None:
        """Says of the nodes without an outcome that nothing will be done to them any more."""
        left = [node for node in nodes if node not in self._ended]
        errors = [OperationStopped(node, begun=node in self._begun or node in self.marks) for node in left]
        await asyncio.gather(*(self.tell(node, error) for node, error in zip(left, errors, strict=True)))

    async def _note(self, note: NodeNote) -> None:
        if self._request.name:
            await self._notes.add(note)

    async def _write(self, notes: list[NodeNote]) -> None:
        if not await self._store.note_nodes(self.id, notes):
            raise OperationLost(self.id)


async def with_locks(
    lease_holder: LeaseHolder,
    *,
    kind: str,
    request: OperationRequest,
    nodes: Sequence[str],
    refused: Mapping[str, DomainError],
    work: Callable[[RunningOperation, Sequence[str]], Awaitable[None]],
    tell: Tell,
) -> None:
    """Locks the nodes, tells of those that are busy, and does the work on the others.

    Args:
        lease_holder: of the lease.
        kind: one word for the operation's id: "reboot".
        request: for whom it is done, and whether it can be asked for again.
        nodes: what is wanted.
        refused: more nodes of the request, with which nothing can be done.
        work: called with the operation and the nodes that it has.
        tell: told of each node once.

    Raises:
        AskedBefore: the request has an operation already; nothing was done.
    """
    operation = lease_holder.begin(kind, request.owner)
    held = RunningOperation(operation, request, lease_holder.store, tell)

    async def lock_and_work(pending: Sequence[str]) -> None:
        busy: Mapping[str, str] = await taken(lease_holder.store.lock_nodes(operation, pending))
        await asyncio.gather(*(held.tell(node, NodeBusy(node, holder)) for node, holder in busy.items()))
        if free := [node for node in pending if node not in busy]:
            await work(held, free)

    async def until_stopped() -> None:
        if pending := await held.open(nodes, refused):
            if not request.stop.is_set():
                await first_of(lock_and_work(pending), request.stop.wait())
            await held.stop(pending)

    await lease_holder.keep(operation, until_stopped(), stop=request.stop)


async def on_each(
    nodes: Sequence[str],
    work: Callable[[str], Awaitable[None]],
    tell: Callable[[str, DomainError | None], Awaitable[None]],
    *,
    at_once: int = NODES_AT_ONCE,
) -> None:
    """Does the work on every node at the same time and tells what became of each as soon as it is known.

    What concerns the whole call (a reader who is too slow) is raised; the work on the nodes is stopped first.
    """
    window = asyncio.Semaphore(at_once)

    async def one(node: str) -> None:
        async with window:
            await tell(node, await outcome(node, work))

    tasks = [asyncio.create_task(one(node)) for node in nodes]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def outcome(node: str, work: Callable[[str], Awaitable[None]]) -> DomainError | None:
    """Does the work on a node and returns what went wrong with it."""
    try:
        await work(node)
    except (StoreFailed, OperationLost):
        raise
    except DomainError as error:
        return error
    except tuple(_WORDS) as error:
        word = next(word for kind, word in _WORDS.items() if isinstance(error, kind))
        return word(str(error), metadata={"node": node})
    except Exception as error:
        logger.exception("node=%s unforeseen error", node)
        return Unforeseen(f"{type(error).__name__} on {node}; the log of the deployer tells more")
    return None
