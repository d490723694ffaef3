"""The journal of a deployment on a full disk: what ends is written, although what begins is not."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.errors import StoreFull
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import FailureReason, PartitionState
from kadeploy_deployer.domain.transition import NodePosition, StepTarget, enter, fail
from kadeploy_deployer.engine.journal import DeploymentJournal
from kadeploy_deployer.ports.deployment_store import DeploymentStore
from kadeploy_deployer.ports.journal_entries import JournalEntry, NodeReleased, OutputEntry
from tests.fakes.manual_clock import ManualClock

FRESH = NodePosition(state=PartitionState.TO_DEPLOY)
FAILURE = Failure(reason=FailureReason.CANCELLED, description="cancelled")


class FullStore:
    """Has room for what ends alone, and keeps what was written."""

    def __init__(self) -> None:
        self.written: list[JournalEntry] = []

    async def write(self, _lease: Lease, entries: Sequence[JournalEntry], *, now: float) -> None:
        """Refuses a transaction that needs more room."""
        assert now
        if any(entry.grows for entry in entries):
            raise StoreFull("the disk is full")
        self.written += entries


async def test_what_ends_does_not_fail_with_what_begins() -> None:
    store = FullStore()
    journal = DeploymentJournal(
        store=cast("DeploymentStore", store),
        lease=Lease(deployment_id="d-1", driver="a", fence=1),
        log=cast("Any", None),
        clock=ManualClock(),
    )
    ending: list[JournalEntry] = [fail("node-1", FRESH, FAILURE), NodeReleased(node="node-1")]
    begins: list[JournalEntry] = [
        enter("node-2", FRESH, StepTarget(name="first", state=PartitionState.DEPLOYING)),
        OutputEntry(node="node-2", step="first", attempt=1, text="words"),
    ]
    mixed = [entry for pair in zip(begins, ending, strict=True) for entry in pair]
    results = await asyncio.gather(*(journal.write(entry) for entry in mixed), return_exceptions=True)
    assert [type(result) for result in results] == [StoreFull, type(None)] * 2
    assert store.written == ending
    assert set(journal.positions) == {"node-1"}
    with pytest.raises(StoreFull):
        await journal.output("node-1", "first", "words")
