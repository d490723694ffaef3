"""What steps learn, on its way into the database: many notes in one transaction, each durable when its call returns."""

import asyncio
from dataclasses import replace

from kadeploy_deployer.app.event_log import EventLog
from kadeploy_deployer.app.ports import Clock
from kadeploy_deployer.app.store import DeploymentStore
from kadeploy_deployer.app.store_values import DoneNote, FactsNote, Note, OutputNote, RemarkNote
from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.events import StepProgressed
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.outcome import Outcome


class JournalRecorder:
    """Implements `steps.step.Recorder` for one deployment.

    Calls that come while a transaction is under way wait and share the next one: a thousand nodes that learn
    something at once cost a few transactions, not a thousand.
    """

    def __init__(self, *, store: DeploymentStore, lease: Lease, log: EventLog, clock: Clock) -> None:
        self._step = ""
        self._attempt = 1
        self.ended_at: dict[str, float] = {}
        self.done: set[str] = set()
        self._store = store
        self._lease = lease
        self._log = log
        self._clock = clock
        self._waiting: list[Note] = []
        self._written: asyncio.Future[None] | None = None
        self._writer: asyncio.Task[None] | None = None

    def begin(self, step: str, attempt: int) -> None:
        """What comes from here on belongs to this attempt at this step."""
        self._step, self._attempt = step, attempt
        self.ended_at.clear()
        self.done.clear()

    async def facts(self, node: str, facts: NodeFacts) -> None:
        """As in the protocol."""
        # A copy: the step may go on and change its facts before they are written.
        await self._add(FactsNote(node=node, facts=replace(facts)))

    async def output(self, node: str, step: str, text: str) -> None:
        """As in the protocol."""
        if text:
            await self._add(OutputNote(node=node, step=step, attempt=self._attempt, text=text))

    async def remark(self, node: str, text: str) -> None:
        """As in the protocol."""
        await self._add(RemarkNote(node=node, text=text))

    async def ended(self, node: str, outcome: Outcome, *, at: float | None = None) -> None:
        """As in the protocol."""
        self.ended_at[node] = time = self._clock.now() if at is None else at
        if outcome is None:
            await self._add(DoneNote(node=node, step=self._step, attempt=self._attempt, time=time))
            self.done.add(node)

    def progress(self, node: str, step: str, done: int, total: int) -> None:
        """As in the protocol."""
        kind = StepProgressed(step=step, done=done, total=total)
        self._log.progress(self._lease.deployment_id, node, kind, time=self._clock.now())

    async def _add(self, note: Note) -> None:
        self._waiting.append(note)
        if self._written is None:
            self._written = asyncio.get_running_loop().create_future()
            # Nobody may be left to look at it when a step is cancelled.
            self._written.add_done_callback(lambda future: future.cancelled() or future.exception())
        written = self._written
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        await asyncio.shield(written)

    async def _write(self) -> None:
        while self._written is not None:
            notes, written = self._waiting, self._written
            self._waiting, self._written = [], None
            try:
                await self._store.record(self._lease, notes, now=self._clock.now())
            except Exception as error:  # noqa: BLE001 - whoever waits for these notes gets it
                written.set_exception(error)
            else:
                written.set_result(None)

    async def flush(self) -> None:
        """Waits for notes whose writers do not wait any more."""
        if self._writer is not None:
            await self._writer
