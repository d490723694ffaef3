"""Watching: the stored events as it grows, and progress that is sent once and not kept.

Watchers read the events from the store at their own pace, so nothing is buffered for a slow one, and a deployment that
another process drives is watched just as well. What is said here only wakes them early.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from kadeploy_deployer.domain.errors import GoingAway, WatcherTooSlow, WatchHistoryGone
from kadeploy_deployer.domain.events import Event, StepProgressed
from kadeploy_deployer.domain.lifecycle import FINISHED
from kadeploy_deployer.domain.operation import AnyOperation
from kadeploy_deployer.ports import Clock
from kadeploy_deployer.ports.reading_store import ReadingStore
from kadeploy_deployer.ports.store_values import Position

PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A deployment or operation as it stands; events follow from its last sequence on."""

    deployment: AnyOperation


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """Nothing happened, and the watch is alive."""

    time: float


WatchMessage = Snapshot | Event | Heartbeat


class _Watcher:
    """One watcher's bell, and the latest progress of each node and step since it last looked."""

    def __init__(self) -> None:
        self.bell = asyncio.Event()
        self.progress: dict[tuple[str, str], tuple[float, StepProgressed]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One look at how far a deployment is: after how many commits, when, and its answer, perhaps still to come."""

    commits: int
    time: float
    answer: asyncio.Future[Position]


class EventLog:
    """Wakes watchers.

    Args:
        poll_seconds: how often a watcher looks by itself, for what other processes write.
        heartbeat_seconds: how long a watch is silent at most.
        patience_seconds: how long a watcher may take to read one page.
    """

    def __init__(
        self, *, poll_seconds: float = 1.0, heartbeat_seconds: float = 10.0, patience_seconds: float = 60.0
    ) -> None:
        self._poll = poll_seconds
        self._heartbeat = heartbeat_seconds
        self._patience = patience_seconds
        self._watchers: dict[str, set[_Watcher]] = defaultdict(set)
        self._closed = False
        # Of deployments that are watched: commits of this process, and the last look, which watchers share.
        self._commits: dict[str, int] = {}
        self._looks: dict[str, _Look] = {}

    def wake(self, deployment_id: str) -> None:
        """Tells the watchers of a deployment that it has new events."""
        if deployment_id in self._watchers:
            self._commits[deployment_id] = self._commits.get(deployment_id, 0) + 1
        for watcher in self._watchers.get(deployment_id, ()):
            watcher.bell.set()

    def progress(self, deployment_id: str, node: str, kind: StepProgressed, *, time: float) -> None:
        """Tells the watchers how far a node is. A watcher that is busy gets the latest only."""
        for watcher in self._watchers.get(deployment_id, ()):
            watcher.progress[node, kind.step] = (time, kind)
            watcher.bell.set()

    @property
    def is_closed(self) -> bool:
        """True when the process stops."""
        return self._closed

    def close(self) -> None:
        """Ends all watches: the process stops."""
        self._closed = True
        for deployment_id in self._watchers:
            self.wake(deployment_id)

    async def watch(
        self, deployment_id: str, *, after: int, store: ReadingStore, clock: Clock
    ) -> AsyncIterator[WatchMessage]:
        """Yields a snapshot (when `after` is 0), then events as they come; ends after the deployment's last event.

        Raises:
            DeploymentNotFound: there is no such deployment.
            WatchHistoryGone: there are no events to resume from after that sequence.
            WatcherTooSlow: the watcher took too long to read.
            GoingAway: this process stops.
        """
        watcher = _Watcher()
        self._watchers[deployment_id].add(watcher)
        try:
            async for message in self._follow(watcher, deployment_id, after, store, clock):
                handed_over = clock.monotonic()
                yield message
                if clock.monotonic() - handed_over > self._patience:
                    raise WatcherTooSlow(deployment_id, message.sequence if isinstance(message, Event) else after)
        finally:
            self._watchers[deployment_id].discard(watcher)
            if not self._watchers[deployment_id]:
                del self._watchers[deployment_id]
                self._commits.pop(deployment_id, None)
                self._looks.pop(deployment_id, None)

    async def _follow(
        self, watcher: _Watcher, deployment_id: str, after: int, store: ReadingStore, clock: Clock
    ) -> AsyncIterator[WatchMessage]:
        position = await self._position(deployment_id, store)
        if after < 0 or after > position.last_sequence or (after and after + 1 < position.first_sequence):
            raise WatchHistoryGone(deployment_id, after)
        seen = after
        if seen == 0:
            deployment = await store.find(deployment_id)
            seen = deployment.last_sequence
            yield Snapshot(deployment=deployment)
        spoken = clock.monotonic()
        while not self._closed:
            watcher.bell.clear()
            position = await self._position(deployment_id, store)
            while seen < position.last_sequence:
                page = await store.events(deployment_id, after=seen, limit=PAGE)
                if not page:
                    # They were too old to be kept any longer, and were dropped this moment.
                    raise WatchHistoryGone(deployment_id, seen)
                for event in page:
                    seen = event.sequence
                    yield event
                spoken = clock.monotonic()
            if position.state in FINISHED:
                return
            latest, watcher.progress = watcher.progress, {}
            for (node, _), (time, kind) in latest.items():
                yield Event(sequence=seen, time=time, node=node, kind=kind)
                spoken = clock.monotonic()
            if clock.monotonic() - spoken >= self._heartbeat:
                yield Heartbeat(time=clock.now())
                spoken = clock.monotonic()
            await self._wait(watcher)
        raise GoingAway(deployment_id, seen)

    async def _position(self, deployment_id: str, store: ReadingStore) -> Position:
        """Returns how far a deployment is: many watchers share one look, as long as nothing was committed since."""
        # The real time, as in `_wait`.
        commits, now = self._commits.get(deployment_id, 0), asyncio.get_running_loop().time()
        look = self._looks.get(deployment_id)
        if look is None or look.commits != commits or now - look.time >= self._poll / 2 or _is_broken(look.answer):
            answer = asyncio.ensure_future(store.position(deployment_id))
            # One that fails when all who waited for it have gone is nobody's concern.
            answer.add_done_callback(lambda done: done.cancelled() or done.exception())
            look = self._looks[deployment_id] = _Look(commits=commits, time=now, answer=answer)
        # A watcher that goes away ends no look of the others.
        return await asyncio.shield(look.answer)

    async def _wait(self, watcher: _Watcher) -> None:
        # The real time, not the Clock's: this wait is no part of any deployment.
        with suppress(TimeoutError):
            async with asyncio.timeout(self._poll):
                await watcher.bell.wait()


def _is_broken(answer: asyncio.Future[Position]) -> bool:
    return answer.done() and (answer.cancelled() or answer.exception() is not None)
