"""The broadcast of one deployment's image: open while a node receives it, joined by nodes as they become ready."""

import asyncio
import logging

from typing_extensions import override

from kadeploy_deployer.domain.snapshot import FileSnapshot
from kadeploy_deployer.ports import Broadcast, BroadcastSession, BroadcastTarget, ImageStore, OnProgress, Received

logger = logging.getLogger(__name__)

STOP_SECONDS = 30.0


class _Opened:
    """One session, kept open by a task of its own until its last node has left."""

    def __init__(self) -> None:
        self.session: asyncio.Future[BroadcastSession] = asyncio.get_running_loop().create_future()
        # Nobody may wait for it any more when it cannot be opened.
        self.session.add_done_callback(lambda future: future.cancelled() or future.exception())
        self.left = asyncio.Event()
        self.receivers = 0
        self.task: asyncio.Task[None] | None = None


class ImageSession(BroadcastSession):
    """Implements `ports.BroadcastSession` for all nodes of a deployment, and fetches the image first."""

    def __init__(self, *, broadcast: Broadcast, images: ImageStore, image: FileSnapshot, user: str) -> None:
        self._broadcast = broadcast
        self._images = images
        self._image = image
        self._user = user
        self._opened: _Opened | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @override
    async def receive(self, target: BroadcastTarget, *, timeout: float, on_progress: OnProgress) -> Received:
        """Raises ImageError when the image cannot be fetched."""
        opened = self._join()
        try:
            session = await asyncio.shield(opened.session)
            return await session.receive(target, timeout=timeout, on_progress=on_progress)
        finally:
            self._leave(opened)

    async def close(self) -> None:
        """Ends the session that is open, and waits for those that are ending."""
        if self._opened is not None:
            self._opened.left.set()
            self._opened = None
        tasks = set(self._closing)
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
        for task in late:
            logger.error("a broadcast does not end within %.0f s; it is broken off", STOP_SECONDS)
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _join(self) -> _Opened:
        if self._opened is None:
            # Its port may be the one that the last session has still to give back.
            before = set(self._closing)
            opened = self._opened = _Opened()
            opened.task = asyncio.create_task(self._keep_open(opened, before), name="image session")
            self._closing.add(opened.task)
            opened.task.add_done_callback(self._closing.discard)
        self._opened.receivers += 1
        return self._opened

    def _leave(self, opened: _Opened) -> None:
        opened.receivers -= 1
        if not opened.receivers:
            opened.left.set()
            if self._opened is opened:
                self._opened = None

    async def _keep_open(self, opened: _Opened, before: set[asyncio.Task[None]]) -> None:
        try:
            if before:
                await asyncio.wait(before)
            async with (
                self._images.fetch(self._image, user=self._user) as file,
                self._broadcast.session(file, digest=self._image.digest, user=self._user) as session,
            ):
                opened.session.set_result(session)
                await opened.left.wait()
        except Exception as error:
            if opened.session.done():
                logger.exception("the end of a broadcast has a fault")
            else:
                opened.session.set_exception(error)
        finally:
            opened.session.cancel()
