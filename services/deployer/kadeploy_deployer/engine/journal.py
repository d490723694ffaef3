"""The journal of one deployment in this process: where each node is, and the way into the database.

What many nodes write at once shares few transactions. A node is where its last transition that is durable led, whoever
waited for it.
"""

import asyncio
from collections.abc import Sequence

from typing_extensions import override

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.events import StepProgressed
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.transition import NodePosition, Transition
from kadeploy_deployer.engine.event_log import EventLog
from kadeploy_deployer.engine.write_batcher import WriteBatcher
from kadeploy_deployer.ports import Clock
from kadeploy_deployer.ports.journal_entries import FactsLearned, JournalEntry, NodeReleased, OutputEntry, RemarkEntry
from kadeploy_deployer.ports.journal_store import JournalStore
from kadeploy_deployer.ports.recorder import Recorder
from kadeploy_deployer.ports.store_values import RunData


class DeploymentJournal(Recorder):
    """Writes what becomes of the nodes of one deployment. Implements `ports.recorder.Recorder`.

    Attributes:
        positions: where each node is that takes part.
        facts: what is known of each.
        locked: the nodes that the deployment still holds.
    """

    def __init__(self, *, store: JournalStore, lease: Lease, log: EventLog, clock: Clock) -> None:
        self.positions: dict[str, NodePosition] = {}
        self.facts: dict[str, NodeFacts] = {}
        self.locked: set[str] = set()
        self._store = store
        self._lease = lease
        self._log = log
        self._clock = clock
        self._batcher: WriteBatcher[JournalEntry] = WriteBatcher(self._write)
        # By itself, so that what ends on a full disk does not fail with what begins.
        self._growing: WriteBatcher[JournalEntry] = WriteBatcher(self._write)

    def resume(self, data: RunData) -> None:
        """Takes over what the database says."""
        for node in data.operation.nodes:
            if node.state is not None:
                self.positions[node.node] = NodePosition(state=node.state, step=node.step, attempt=node.attempt)
                self.facts[node.node] = node.facts
        self.locked = set(data.locked)

    @property
    def active(self) -> list[str]:
        """The nodes that walk the plan."""
        return [node for node, position in self.positions.items() if position.active]

    @property
    def unrecovered(self) -> list[str]:
        """The nodes in error that nobody has left bootable yet."""
        return [node for node, position in self.positions.items() if position.failed and node in self.locked]

    async def write(self, entry: JournalEntry) -> None:
        """Returns when the entry is durable. Raises LeaseLost, StoreFailed."""
        await (self._growing if entry.grows else self._batcher).add(entry)

    async def flush(self) -> None:
        """Waits for entries whose writers do not wait any more."""
        await asyncio.gather(self._growing.flush(), self._batcher.flush())

    @override
    async def output(self, node: str, step: str, text: str) -> None:
        if text:
            await self.write(OutputEntry(node=node, step=step, attempt=self.positions[node].attempt, text=text))

    @override
    async def remark(self, node: str, text: str) -> None:
        await self.write(RemarkEntry(node=node, text=text))

    @override
    async def learn(self, node: str, facts: NodeFacts) -> None:
        await self.write(FactsLearned(node=node, facts=facts))

    @override
    def progress(self, node: str, step: str, done: int, total: int) -> None:
        kind = StepProgressed(step=step, done=done, total=total)
        self._log.progress(self._lease.deployment_id, node, kind, time=self._clock.now())

    async def _write(self, entries: Sequence[JournalEntry]) -> None:
        await self._store.write(self._lease, entries, now=self._clock.now())
        for entry in entries:
            if isinstance(entry, Transition):
                self.positions[entry.node] = entry.after
                if entry.facts is not None:
                    self.facts[entry.node] = entry.facts
                if entry.after.succeeded:
                    self.locked.discard(entry.node)
            elif isinstance(entry, FactsLearned):
                self.facts[entry.node] = entry.facts
            elif isinstance(entry, NodeReleased):
                self.locked.discard(entry.node)
