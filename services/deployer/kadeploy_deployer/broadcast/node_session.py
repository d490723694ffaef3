"""One node's part in a broadcast, as the deployer sees it: starts the program, hears it, ends it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable

from kadeploy_deployer.broadcast.instructions import SOURCE_NAME, ChainSettings, Place
from kadeploy_deployer.broadcast.manifest import Manifest
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.ports import (
    BroadcastTarget,
    CommandResult,
    OnProgress,
    Received,
    ReceiveFailed,
    RemoteShell,
    ShellError,
)

_QUOTED = 500
_WRONG_INSTRUCTIONS = 2

logger = logging.getLogger(__name__)

OnNeighbour = Callable[[str, str, str], None]
"""Is called with the name of a node, who speaks of it, and what it is blamed for ("": it was seen alive)."""


class NodeSession:
    """A session with the program on one node.

    Attributes:
        ready: where the node behind this one finds it, None before the program listens and when it never will.
        source: the deployer as this node reaches it, None until that is known.
        link_mbits: the speed of the node's link, 0 where it does not say.
        started: set as soon as it is known whether the program runs.
        result: what the node received, or why it did not.
        running: whether the program may still serve others.
    """

    def __init__(
        self,
        target: BroadcastTarget,
        *,
        document: bytes,
        manifest: Manifest,
        source_port: int,
        shell: RemoteShell,
        settings: ChainSettings,
        on_progress: OnProgress,
        on_neighbour: OnNeighbour,
    ) -> None:
        self.name = target.host.name
        self.address = target.host.address
        self.ready: Place | None = None
        self.source: Place | None = None
        self.link_mbits = 0
        self.started = asyncio.Event()
        self.result: asyncio.Future[Received] = asyncio.get_running_loop().create_future()
        # That it failed is told by `received`; nobody need wait for it.
        self.result.add_done_callback(lambda result: result.cancelled() or result.exception())
        self.running = True
        self._target = target
        self._document = document
        self._manifest = manifest
        self._source_port = source_port
        self._shell = shell
        self._settings = settings
        self._on_progress = on_progress
        self._on_neighbour = on_neighbour
        self._part: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._finished = asyncio.Event()
        self._quiet: asyncio.Timeout | None = None
        self._heard = 0.0
        self._blamed = ""
        self._received_bytes = 0

    @property
    def is_serving(self) -> bool:
        """Whether others can receive from it: its program runs, and nothing is known against it."""
        failed = self.result.done() and (self.result.cancelled() or self.result.exception() is not None)
        return self.running and self.ready is not None and not failed

    async def run(self, *, timeout: float) -> None:
        """Lives the session; whatever happens ends up in `result`."""
        try:
            async with asyncio.timeout(self._settings.start_bound) as self._quiet:
                self.source = Place(
                    name=SOURCE_NAME,
                    address=await self._shell.local_address(self._target.host),
                    port=self._source_port,
                )
                result = await self._shell.run(
                    self._target.host,
                    self._settings.program,
                    timeout=timeout,
                    stdin=self._instructions(),
                    on_line=self._hear,
                )
        except TimeoutError:
            self.fail(self._describe_silence())
        except ShellError as error:
            self.fail(str(error))
        except Exception:
            logger.exception("broadcast session has a fault node=%s", self.name)
            self.fail("the deployer has a fault; its log says more")
        else:
            self.fail(_describe_end(result))
        finally:
            self.running = False
            self.started.set()

    def begin(self, part: bytes) -> None:
        """Tells the node its part."""
        if not self._part.done():
            self._part.set_result(part)

    def finish(self) -> None:
        """Lets the program end."""
        self._finished.set()
        if not self._part.done():
            self._part.cancel()

    def fail(self, description: str) -> None:
        """Settles that the node failed, if nothing is settled yet."""
        self._settle_failure(FailureReason.TRANSFER_FAILED, description)

    def blame(self, by: str, why: str) -> None:
        """Hears from another node that this one gives nothing: if the deployer hears nothing either, it is dead."""
        self._blamed = f"{by} says: {why}"
        self._expect(self._heard + self._settings.evidence_bound)

    def clear(self) -> None:
        """Hears from another node that this one lives."""
        self._blamed = ""
        self._heard = asyncio.get_running_loop().time()
        self._expect(self._heard + self._settings.silence_bound)

    async def _instructions(self) -> AsyncIterator[bytes]:
        """Gives the two lines and then nothing until the end: what the program reads ends when it is to end."""
        yield self._document
        await asyncio.wait([self._part])
        if self._part.cancelled():
            return
        yield self._part.result()
        await self._finished.wait()

    def _hear(self, line: str) -> None:
        self._heard = asyncio.get_running_loop().time()
        bound = self._settings.evidence_bound if self._blamed else self._settings.silence_bound
        self._expect(self._heard + bound)
        try:
            self._understand(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            logger.warning("broadcast line not understood node=%s line=%.200s error=%r", self.name, line, error)

    def _understand(self, message: dict[str, object]) -> None:
        match message["event"]:
            case "ready":
                port = int(str(message["port"]))
                self.link_mbits = int(str(message["link_mbits"]))
                self.ready = Place(name=self.name, address=self._target.host.address, port=port)
                self.started.set()
            case "progress":
                self._received_bytes = int(str(message["received_bytes"]))
                if not self.result.done():
                    # A node that is done goes on speaking, for as long as others receive from it.
                    self._on_progress(int(str(message["written_bytes"])), int(str(message["total_bytes"])))
            case "left":
                logger.info("broadcast node=%s left=%s why=%s", self.name, message["name"], message["why"])
                self._on_neighbour(str(message["name"]), self.name, str(message["why"]))
            case "serves":
                self._on_neighbour(str(message["name"]), self.name, "")
            case "result":
                self._conclude(message)

    def _expect(self, until: float) -> None:
        """Waits for the next line until then."""
        if self._quiet is not None and not self._quiet.expired():
            self._quiet.reschedule(until)

    def _conclude(self, message: dict[str, object]) -> None:
        self._received_bytes = int(str(message["received_bytes"]))
        logger.info(
            "broadcast node ended node=%s ok=%s bytes=%s seconds=%s sink_seconds=%s upstreams=%s notes=%s",
            *(self.name, message["ok"], self._received_bytes, message["seconds"], message["sink_seconds"]),
            *(message["upstreams"], message["notes"]),
        )
        if message["ok"] is not True:
            self._settle_failure(FailureReason.TRANSFER_FAILED, str(message["description"]))
        elif message["proof"] != self._manifest.proof or self._received_bytes != self._manifest.size:
            description = f"{self.name} says that it received other blocks than those of {self._manifest.digest}"
            self._settle_failure(FailureReason.DIGEST_MISMATCH, description)
        elif not self.result.done():
            self._on_progress(self._received_bytes, self._received_bytes)
            self.result.set_result(
                Received(
                    digest=self._manifest.digest,
                    received_bytes=self._received_bytes,
                    seconds=float(str(message["seconds"])),
                )
            )

    def _settle_failure(self, reason: FailureReason, description: str) -> None:
        if not self.result.done():
            failure = Failure(reason=reason, description=description)
            self.result.set_exception(ReceiveFailed(failure, received_bytes=self._received_bytes))

    def _describe_silence(self) -> str:
        if not self._heard:
            return "the broadcast program gave no sign of life in time"
        silent = asyncio.get_running_loop().time() - self._heard
        words = f"the deployer heard nothing from {self.name} for {silent:.0f} s"
        return f"{words}, and {self._blamed}" if self._blamed else words


def _describe_end(result: CommandResult) -> str:
    words = " ".join(result.stderr.split())[-_QUOTED:]
    if result.exit_status in {126, 127}:
        return "the deployment environment has no broadcast program; build it anew"
    if result.exit_status == _WRONG_INSTRUCTIONS:
        return f"the deployment environment's broadcast program is not of this release; build it anew ({words})"
    return f"the broadcast program ended with status {result.exit_status} and no result: {words or 'it said nothing'}"
