"""What steps learn, on its way into the database: many notes in one transaction, each durable when its call returns."""

from dataclasses import replace

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.events import StepProgressed
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.outcome import Outcome
from kadeploy_deployer.engine.event_log import EventLog
from kadeploy_deployer.engine.write_batcher import WriteBatcher
from kadeploy_deployer.ports import Clock
from kadeploy_deployer.ports.deployment_store import DeploymentStore
from kadeploy_deployer.ports.store_values import DoneNote, FactsNote, Note, OutputNote, RemarkNote


class JournalRecorder:
    """Implements `ports.recorder.Recorder` for one deployment."""

    def __init__(self, *, store: DeploymentStore, lease: Lease, log: EventLog, clock: Clock) -> None:
        self._step = ""
        self._attempt = 1
        self.ended_at: dict[str, float] = {}
        self.done: set[str] = set()
        self._store = store
        self._lease = lease
        self._log = log
        self._clock = clock
        self._notes: WriteBatcher[Note] = WriteBatcher(self._write)

    def begin(self, step: str, attempt: int) -> None:
        """What comes from here on belongs to this attempt at this step."""
        self._step, self._attempt = step, attempt
        self.ended_at.clear()
        self.done.clear()

    async def facts(self, node: str, facts: NodeFacts) -> None:
        """As in the protocol."""
        # A copy: the step may go on and change its facts before they are written.
        await self._notes.add(FactsNote(node=node, facts=replace(facts)))

    async def output(self, node: str, step: str, text: str) -> None:
        """As in the protocol."""
        if text:
            await self._notes.add(OutputNote(node=node, step=step, attempt=self._attempt, text=text))

    async def remark(self, node: str, text: str) -> None:
        """As in the protocol."""
        await self._notes.add(RemarkNote(node=node, text=text))

    async def ended(self, node: str, outcome: Outcome, *, at: float | None = None) -> None:
        """As in the protocol."""
        self.ended_at[node] = time = self._clock.now() if at is None else at
        if outcome is None:
            await self._notes.add(DoneNote(node=node, step=self._step, attempt=self._attempt, time=time))
            self.done.add(node)

    def progress(self, node: str, step: str, done: int, total: int) -> None:
        """As in the protocol."""
        kind = StepProgressed(step=step, done=done, total=total)
        self._log.progress(self._lease.deployment_id, node, kind, time=self._clock.now())

    async def flush(self) -> None:
        """Waits for notes whose writers do not wait any more."""
        await self._notes.flush()

    async def _write(self, notes: list[Note]) -> None:
        await self._store.record(self._lease, notes, now=self._clock.now())
