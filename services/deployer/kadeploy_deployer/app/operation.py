"""One operation on nodes: takes their locks, keeps the lease while it works, and gives everything back in the end."""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from kadeploy_deployer.app.operation_store import NewOperation, OperationStore
from kadeploy_deployer.app.ports import (
    BootError,
    Clock,
    CommandTimedOut,
    ImageError,
    PowerError,
    ShellError,
)
from kadeploy_deployer.domain.control_errors import (
    BootFilesFailed,
    NodeBusy,
    NodeUnreachable,
    NotThereAfterReboot,
    OperationLost,
    PowerFailed,
    RunsOutOfTime,
    Unforeseen,
)
from kadeploy_deployer.domain.errors import StoreUnreachable
from kadeploy_deployer.domain.holder import OPERATION_PREFIX
from kadeploy_deployer.steps.each_node import NodeFailed
from kadeploy_rpckit.errors import DomainError

logger = logging.getLogger(__name__)

NODES_AT_ONCE = 100
RELEASE_SECONDS = 10.0

# What the ports say, in words for the caller; a kind stands before the kinds that it is one of.
_WORDS: Mapping[type[Exception], type[DomainError]] = {
    NodeFailed: NotThereAfterReboot,
    CommandTimedOut: RunsOutOfTime,
    ShellError: NodeUnreachable,
    PowerError: PowerFailed,
    BootError: BootFilesFailed,
    ImageError: BootFilesFailed,
}

Tell = Callable[[str, DomainError | None], None]
"""Takes what became of a node: None when it went well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """What keeps operations: the database, time, and how long a lease lasts."""

    store: OperationStore
    clock: Clock
    lease_seconds: float

    def begin(self, kind: str, owner: str) -> NewOperation:
        """Returns a new operation, of which nothing is stored yet."""
        now = self.clock.now()
        day = time.strftime("%Y%m%d", time.gmtime(now))
        return NewOperation(
            id=f"{OPERATION_PREFIX}{kind}-{day}-{secrets.token_hex(5)}",
            owner=owner,
            lease_expires_at=now + self.lease_seconds,
            now=now,
        )

    async def keep(self, operation: NewOperation, work: Awaitable[None]) -> None:
        """Waits for the work, renewing what the operation holds, and gives it back however the work ends.

        Raises:
            OperationLost: the lease could not be renewed in time; the work was stopped.
        """
        working = asyncio.ensure_future(work)
        renewing = asyncio.create_task(self._renew(operation.id), name=f"lease of {operation.id}")
        try:
            await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                renewing.result()
            working.result()
        finally:
            working.cancel()
            renewing.cancel()
            await asyncio.gather(working, renewing, return_exceptions=True)
            await self.release(operation)

    async def release(self, operation: NewOperation) -> None:
        """Gives back what the operation holds. What cannot be given back now expires with its lease."""
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await asyncio.shield(self.store.release(operation.id))
        except (StoreUnreachable, TimeoutError) as error:
            logger.warning("operation=%s its locks stay until their lease expires: %s", operation.id, error)

    async def _renew(self, operation_id: str) -> None:
        """Never returns; raises OperationLost when the lease is over."""
        expires = self.clock.monotonic() + self.lease_seconds
        while True:
            await self.clock.sleep(self.lease_seconds / 3)
            asked, now = self.clock.monotonic(), self.clock.now()
            try:
                async with asyncio.timeout(self.lease_seconds / 3):
                    held = await self.store.renew(operation_id, now=now, lease_expires_at=now + self.lease_seconds)
            except (StoreUnreachable, TimeoutError) as error:
                logger.warning("operation=%s its lease cannot be renewed: %s", operation_id, error)
                if self.clock.monotonic() >= expires:
                    raise OperationLost(operation_id) from error
                continue
            if not held:
                raise OperationLost(operation_id)
            expires = asked + self.lease_seconds


async def with_locks(
    keeper: Keeper,
    *,
    kind: str,
    owner: str,
    nodes: Sequence[str],
    work: Callable[[str, Sequence[str]], Awaitable[None]],
    tell: Tell,
) -> None:
    """Locks the nodes, tells of those that are busy, and does the work on the others.

    Args:
        keeper: of the lease.
        kind: one word for the operation's id: "reboot".
        owner: the user for whom it is done.
        nodes: what is wanted.
        work: called with the operation's id and the nodes that it has.
        tell: told NodeBusy of each node that somebody else has.
    """
    operation = keeper.begin(kind, owner)

    async def lock_and_work() -> None:
        busy: Mapping[str, str] = await keeper.store.lock_nodes(operation, nodes)
        for node, holder in busy.items():
            tell(node, NodeBusy(node, holder))
        if free := [node for node in nodes if node not in busy]:
            await work(operation.id, free)

    await keeper.keep(operation, lock_and_work())


async def on_each(
    nodes: Sequence[str], work: Callable[[str], Awaitable[None]], tell: Tell, *, at_once: int = NODES_AT_ONCE
) -> None:
    """Does the work on every node at the same time and tells what became of each as soon as it is known.

    What concerns the whole call (a reader who is too slow) is raised; the work on the nodes is stopped first.
    """
    window = asyncio.Semaphore(at_once)

    async def one(node: str) -> None:
        async with window:
            tell(node, await outcome(node, work))

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
    except StoreUnreachable:
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
