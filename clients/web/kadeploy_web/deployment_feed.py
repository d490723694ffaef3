"""One deployment that is watched: one gRPC stream in a thread, whatever the number of readers."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from kadeploy_api import RemoteError, Update, Watch
from kadeploy_web.deployment_rows import NodeRow, event_line, head, node_row, summary

LOG_LINES = 200
# How often readers are written to; events in between go together.
TICK_SECONDS = 0.25

Line = tuple[float | None, str, str]
RELOAD = "reload"
Change = str | Mapping[str, Any] | None
"""What readers get: a change, RELOAD to read everything anew, None at the end."""
_log = logging.getLogger(__name__)


class _Pending:
    """What the thread has seen and the loop has not taken yet."""

    def __init__(self) -> None:
        self.head: dict[str, Any] | None = None
        self.rows: dict[str, NodeRow] = {}
        self.lines: list[Line] = []
        self.ended = False
        self.error: RemoteError | None = None


class DeploymentFeed:
    """A deployment's present state, and its changes for readers. Lives on one loop.

    `head` and `rows` are those of the last tick.
    """

    def __init__(self, watch: Watch, *, on_change: Callable[["DeploymentFeed"], None] = lambda _: None) -> None:
        """Starts the watch.

        Args:
            watch: of the deployment; closed at the end.
            on_change: called on the loop after each tick that changed something.
        """
        self.head: dict[str, Any] = {}
        self.rows: dict[str, NodeRow] = {}
        self.lines: deque[Line] = deque(maxlen=LOG_LINES)
        self.error: RemoteError | None = None
        self.ended = asyncio.Event()
        self.ready = asyncio.Event()
        self._watch = watch
        self._on_change = on_change
        self._queues: set[asyncio.Queue[Change]] = set()
        self._lock = threading.Lock()
        self._pending = _Pending()
        self._thread = threading.Thread(target=self._read, name="watch", daemon=True)
        self._thread.start()
        self._ticking = asyncio.create_task(self._tick())

    @property
    def has_readers(self) -> bool:
        """Whether somebody is subscribed."""
        return bool(self._queues)

    async def close(self) -> None:
        """Ends the watch and tells every reader."""
        self._watch.close()
        self._ticking.cancel()
        await asyncio.gather(self._ticking, return_exceptions=True)
        await asyncio.to_thread(self._thread.join, 5.0)
        self._finish()

    def snapshot(self) -> dict[str, Any]:
        """Returns everything that is known now."""
        rows = list(self.rows.values())
        return {"head": self.head, "summary": summary(rows), "rows": rows, "lines": list(self.lines)}

    def subscribe(self) -> asyncio.Queue[Change]:
        """Returns a queue of changes for a reader, who unsubscribes in the end."""
        queue: asyncio.Queue[Change] = asyncio.Queue(maxsize=64)
        self._queues.add(queue)
        return queue

    def unsubscribe(self, queue: asyncio.Queue[Change]) -> None:
        """Forgets a reader."""
        self._queues.discard(queue)

    def _read(self) -> None:
        """Runs in the thread: takes updates until the deployment has ended or cannot be watched."""
        error: RemoteError | None = None
        try:
            for update in self._watch:
                self._take(update)
        except RemoteError as caught:
            error = caught
        except Exception:  # noqa: BLE001 - the thread of a watch has nobody who would catch it
            _log.exception("the watch of a deployment ended by a fault")
        with self._lock:
            self._pending.ended, self._pending.error = True, error

    def _take(self, update: Update) -> None:
        view, response = update.view, update.response
        kind = response.WhichOneof("kind")
        if kind == "heartbeat":
            return
        # A snapshot's rows stand in the order of the node set.
        names = [one.node for one in view.deployment.nodes] if kind == "snapshot" else update.changed
        rows = {
            name: node_row(node, view.progress.get(name, (0, 0)))
            for name in names
            if (node := view.node(name)) is not None
        }
        line = event_line(response.event) if kind == "event" else None
        is_whole = kind == "snapshot" or not response.event.node
        with self._lock:
            if is_whole:
                self._pending.head = head(view.deployment)
            self._pending.rows |= rows
            if line is not None:
                self._pending.lines.append(line)

    async def _tick(self) -> None:
        while not self.ended.is_set():
            with self._lock:
                pending, self._pending = self._pending, _Pending()
            if pending.head is not None or pending.rows or pending.lines:
                self._publish(pending)
            if pending.ended:
                self.error = pending.error
                self._finish()
                return
            await asyncio.sleep(TICK_SECONDS)

    def _publish(self, pending: _Pending) -> None:
        if pending.head is not None:
            self.head = pending.head
        self.rows |= pending.rows
        self.lines.extend(pending.lines)
        change = {
            "head": self.head,
            "summary": summary(self.rows.values()),
            "rows": list(pending.rows.values()),
            "lines": pending.lines,
        }
        for queue in tuple(self._queues):
            _put(queue, change)
        self.ready.set()
        self._on_change(self)

    def _finish(self) -> None:
        self.ended.set()
        self.ready.set()
        for queue in tuple(self._queues):
            _put(queue, None)
        self._on_change(self)


def _put(queue: asyncio.Queue[Change], item: Mapping[str, Any] | None) -> None:
    """Adds an item; a reader that is too slow for changes starts anew from what is there."""
    if queue.full():
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(RELOAD)
    queue.put_nowait(item)
