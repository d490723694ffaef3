"""Asking for an operation, and asking again: the same request gets the same operation, whichever deployer it reaches.

An operation that its caller named runs in a task of this process, which goes on when the caller hangs up. Who asks
again follows what the journal says; if nobody drives the operation any more, he makes it go on here.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from kadeploy_deployer.domain.control_errors import InvalidControl, OperationGoesOn, OperationNotFound
from kadeploy_deployer.domain.error_record import error_of
from kadeploy_deployer.ports import Clock
from kadeploy_deployer.ports.operation_store import AskedBefore, OperationStore, RequestName
from kadeploy_edge.errors import DomainError

logger = logging.getLogger(__name__)

FOLLOW_PAUSE = 0.5
"""How often somebody who asked again looks into the journal."""

Tell = Callable[[str, DomainError | None], None]
"""Takes what became of a node: None when it went well."""

Work = Callable[[Tell], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRequest:
    """For whom an operation is done. `name` None: nobody can ask for it again. `stop`: set when it is to stop."""

    owner: str
    name: RequestName | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)


class Operations:
    """The named operations that this process drives, and the way to all others."""

    def __init__(self, store: OperationStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._running: dict[asyncio.Task[None], OperationRequest] = {}
        self._leaving = False

    async def once(self, request: OperationRequest, work: Work, tell: Tell) -> None:
        """Has the work done unless it was asked for before, and tells what became of each node, of each one time.

        Args:
            request: what was asked for.
            work: does it, with `operation.with_locks`.
            tell: called for every node.

        Raises:
            InvalidControl: the name was given to another request.
            OperationGoesOn: this process stops.
            DomainError: what the work raises.
        """
        name = request.name
        if name is None:
            await work(tell)
            return
        reported: set[str] = set()

        def tell_once(node: str, error: DomainError | None) -> None:
            if node not in reported:
                reported.add(node)
                tell(node, error)

        while not await self._try(request, name, work, tell_once):
            await self._clock.sleep(FOLLOW_PAUSE)

    async def stop(self, owner: str, request_id: str) -> None:
        """Asks for the end of an operation, wherever it is driven. Raises OperationNotFound."""
        mine = [
            request
            for request in self._running.values()
            if request.owner == owner and request.name is not None and request.name.request_id == request_id
        ]
        for request in mine:
            request.stop.set()
        if not await self._store.ask_stop(owner, request_id) and not mine:
            raise OperationNotFound(request_id)

    def leave(self) -> None:
        """Ends all of them, because the process stops; each is given back, so that it can go on elsewhere."""
        self._leaving = True
        for task in self._running:
            task.cancel()

    async def close(self) -> None:
        """Ends all of them and waits until they have."""
        self.leave()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _try(self, request: OperationRequest, name: RequestName, work: Work, tell: Tell) -> bool:
        """Does the work if nobody else does it, or else tells what is known of it; returns whether it is over."""
        known = await self._store.known_request(name.owner, name.request_id)
        if known is not None and known.fingerprint != name.fingerprint:
            raise InvalidControl("request_id", "was given to another request; every request needs one of its own")
        if self._leaving:
            raise OperationGoesOn(name.request_id)
        if known is None or known.is_abandoned:
            if known is not None and known.stop_asked:
                # Whoever drove it died before it heard of that.
                request.stop.set()
            try:
                await self._carry_out(request, name, work, tell)
            except AskedBefore:
                # Somebody was faster; the journal says more.
                return False
            return True
        for node, error_record in known.outcomes.items():
            tell(node, error_of(error_record))
        return known.ended

    async def _carry_out(self, request: OperationRequest, name: RequestName, work: Work, tell: Tell) -> None:
        """Does the work in a task that outlives the caller."""
        task = asyncio.create_task(work(tell))
        self._running[task] = request
        task.add_done_callback(self._ended)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled() and self._leaving:
                raise OperationGoesOn(name.request_id) from None
            raise

    def _ended(self, task: asyncio.Task[None]) -> None:
        request = self._running.pop(task)
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, AskedBefore):
            # Its caller may be gone; if not, they see it too.
            logger.info("an operation of %s ended early: %s", request.owner, error)
