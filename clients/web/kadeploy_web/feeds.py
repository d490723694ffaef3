"""All that is live: the feeds of deployments that somebody watches, and the overview that all readers share."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from kadeploy.deployer.v1 import deployment_pb2
from kadeploy_api import Kadeploy, RemoteError
from kadeploy_web.cluster_state import ClusterReader, ClusterState, Row, changed_rows
from kadeploy_web.deployment_feed import RELOAD, DeploymentFeed
from kadeploy_web.deployment_rows import summary

RUNNING = (deployment_pb2.DEPLOYMENT_STATE_WAITING, deployment_pb2.DEPLOYMENT_STATE_DEPLOYING)
# A reader who turns a page comes back soon; the stream is kept so long without any.
LINGER_SECONDS = 10.0
MOST_FEEDS = 64
OVERVIEW_SECONDS = 0.5

_log = logging.getLogger(__name__)


class Feeds:
    """One feed per deployment, opened by its first reader and closed after its last."""

    def __init__(self, client: Callable[[], Kadeploy]) -> None:
        """Watches nothing yet. `client`: returns what the deployer is called with."""
        self._client = client
        self._feeds: dict[str, DeploymentFeed] = {}
        self._users: dict[str, int] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def open(self, deployment_id: str) -> AsyncIterator[DeploymentFeed]:
        """Yields the feed of a deployment, once its first snapshot is there."""
        feed = self._feeds.get(deployment_id)
        if feed is None or feed.ended.is_set():
            if len(self._feeds) >= MOST_FEEDS:
                raise TooManyFeeds
            feed = self._feeds[deployment_id] = DeploymentFeed(self._client().watch(deployment_id))
        self._users[deployment_id] = self._users.get(deployment_id, 0) + 1
        try:
            await feed.ready.wait()
            yield feed
        finally:
            self._users[deployment_id] -= 1
            if not self._users[deployment_id]:
                task = asyncio.create_task(self._close_later(deployment_id, feed))
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Ends every watch."""
        for task in tuple(self._closing):
            task.cancel()
        await asyncio.gather(*(feed.close() for feed in self._feeds.values()), return_exceptions=True)
        self._feeds.clear()

    async def _close_later(self, deployment_id: str, feed: DeploymentFeed) -> None:
        await asyncio.sleep(0 if feed.ended.is_set() else LINGER_SECONDS)
        if not self._users.get(deployment_id) and self._feeds.get(deployment_id) is feed:
            del self._feeds[deployment_id]
            self._users.pop(deployment_id, None)
            await feed.close()


class TooManyFeeds(Exception):
    """As many deployments are watched as the page has room for."""


class Overview:
    """Cluster and running deployments, followed while somebody looks at them."""

    def __init__(self, cluster: ClusterReader, feeds: Feeds, client: Callable[[], Kadeploy]) -> None:
        """Follows nothing yet.

        Args:
            cluster: the nodes.
            feeds: the deployments.
            client: returns what the deployer is called with.
        """
        self._cluster = cluster
        self._feeds = feeds
        self._client = client
        self._queues: set[asyncio.Queue[tuple[str, Any]]] = set()
        self._following: asyncio.Task[None] | None = None
        self._watched: dict[str, asyncio.Task[None]] = {}
        self._heads: dict[str, Mapping[str, Any]] = {}
        self._patches: dict[str, tuple[str, str]] = {}

    @contextlib.contextmanager
    def subscribed(self) -> Any:
        """Yields a queue of (event, data) for one reader."""
        queue: asyncio.Queue[tuple[str, Any]] = asyncio.Queue(maxsize=64)
        queue.put_nowait(("deployments", list(self._heads.values())))
        self._queues.add(queue)
        if self._following is None or self._following.done():
            self._following = asyncio.create_task(self._follow())
        try:
            yield queue
        finally:
            self._queues.discard(queue)

    async def close(self) -> None:
        """Ends what is followed."""
        tasks = [task for task in (self._following, *self._watched.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self) -> None:
        """Refreshes until nobody looks any more."""
        before: ClusterState | None = None
        try:
            while self._queues:
                try:
                    after = await self._cluster.read()
                    await self._find_running()
                except RemoteError as error:
                    self._publish("trouble", error.message)
                    await asyncio.sleep(2.0)
                    continue
                if before is not None and before is not after:
                    rows = changed_rows(before, after)
                    if rows is None:
                        self._publish(RELOAD, None)
                    elif rows:
                        self._publish("nodes", [self._as_live(row) for row in rows])
                before = after
                await asyncio.sleep(max(self._cluster.pause, OVERVIEW_SECONDS))
        finally:
            for task in self._watched.values():
                task.cancel()

    async def _find_running(self) -> None:
        """Watches the deployments that run and are not watched yet."""

        def list_running() -> list[str]:
            return [one.id for one in self._client().deployments(states=RUNNING)]

        for deployment_id in await asyncio.to_thread(list_running):
            task = self._watched.get(deployment_id)
            if task is None or task.done():
                self._watched[deployment_id] = asyncio.create_task(self._watch(deployment_id))

    async def _watch(self, deployment_id: str) -> None:
        try:
            async with self._feeds.open(deployment_id) as feed:
                while not feed.ended.is_set():
                    self._show(feed)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(feed.ended.wait(), OVERVIEW_SECONDS)
                self._show(feed)
        except TooManyFeeds:
            _log.warning("deployment=%s is not shown live: %d others are", deployment_id, MOST_FEEDS)
        finally:
            self._heads.pop(deployment_id, None)
            self._watched.pop(deployment_id, None)

    def _show(self, feed: DeploymentFeed) -> None:
        """Publishes a deployment, and the states of its nodes, if anything has changed."""
        if not feed.head:
            return
        card = {**feed.head, "summary": summary(feed.rows.values())}
        deployment_id = str(feed.head["id"])
        if self._heads.get(deployment_id) != card:
            self._heads[deployment_id] = card
            self._publish("deployment", card)
            patches = [
                (row.node, row.state, deployment_id, card["environment"], row.reason) for row in feed.rows.values()
            ]
            fresh = [patch for patch in patches if self._patches.get(patch[0]) != (patch[1], deployment_id)]
            self._patches |= {patch[0]: (patch[1], deployment_id) for patch in fresh}
            if fresh:
                self._publish("nodes", fresh)

    def _as_live(self, row: Row) -> Row:
        """Returns a row that was read, with the state that its deployment's own events have told since."""
        state, deployment_id = self._patches.get(row[0], ("", ""))
        return (row[0], state, *row[2:]) if deployment_id and deployment_id == row[2] else row

    def _publish(self, event: str, data: Any) -> None:
        for queue in tuple(self._queues):
            if queue.full():
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait((RELOAD, None))
            queue.put_nowait((event, data))
