"""One node's part in a broadcast, as the deployer sees it: starts the program, hears it, ends it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable

from kadeploy_deployer.broadcast.instructions import SOURCE_NAME, ChainSettings, Place
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.ports import BroadcastTarget, CommandResult, Received, RemoteShell, ShellError

_QUOTED = 500

logger = logging.getLogger(__name__)


class NodeSession:
    """A session with the program on one node.

    Attributes:
        ready: where the nodes behind this one find it, None before the program listens and when it never will.
        source: the deployer as this node reaches it, None until that is known.
        received: what became of the node, None while it is open.
        started: set as soon as it is known whether the program runs.
        done: set as soon as `received` is there.
    """

    def __init__(
        self,
        target: BroadcastTarget,
        *,
        document: bytes,
        digest: str,
        source_port: int,
        shell: RemoteShell,
        settings: ChainSettings,
        on_progress: Callable[[str, int, int], None],
    ) -> None:
        self.name = target.host.name
        self.ready: Place | None = None
        self.source: Place | None = None
        self.received: Received | None = None
        self.started = asyncio.Event()
        self.done = asyncio.Event()
        self._target = target
        self._document = document
        self._digest = digest
        self._source_port = source_port
        self._shell = shell
        self._settings = settings
        self._on_progress = on_progress
        self._upstreams: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._finished = asyncio.Event()
        self._quiet: asyncio.Timeout | None = None
        self._received_bytes = 0

    async def run(self, *, timeout: float) -> None:
        """Lives the session; whatever happens ends up in `received`."""
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
            self.fail("the broadcast program gave no sign of life in time")
        except ShellError as error:
            self.fail(str(error))
        except Exception:
            logger.exception("broadcast session has a fault node=%s", self.name)
            self.fail("the deployer has a fault; its log says more")
        else:
            self.fail(_describe_end(result))
        finally:
            self.started.set()

    def begin(self, upstreams: bytes) -> None:
        """Tells the node whom to ask."""
        if not self._upstreams.done():
            self._upstreams.set_result(upstreams)

    def finish(self) -> None:
        """Lets the program end."""
        self._finished.set()
        if not self._upstreams.done():
            self._upstreams.cancel()

    def fail(self, description: str) -> None:
        """Settles that the node failed, if nothing is settled yet."""
        self._settle(Failure(reason=FailureReason.TRANSFER_FAILED, description=description), "", self._received_bytes)

    async def _instructions(self) -> AsyncIterator[bytes]:
        """Gives the two lines and then nothing until the end: what the program reads ends when it is to end."""
        yield self._document
        await asyncio.wait([self._upstreams])
        if self._upstreams.cancelled():
            return
        yield self._upstreams.result()
        await self._finished.wait()

    def _hear(self, line: str) -> None:
        if self._quiet is not None and not self._quiet.expired():
            self._quiet.reschedule(asyncio.get_running_loop().time() + self._settings.silence_bound)
        try:
            message = json.loads(line)
            match message["event"]:
                case "ready":
                    self.ready = Place(name=self.name, address=self._target.host.address, port=int(message["port"]))
                    self.started.set()
                case "progress":
                    self._received_bytes = int(message["received_bytes"])
                    if self.received is None:
                        # A node that is done goes on speaking, for as long as others copy from it.
                        self._on_progress(self.name, int(message["written_bytes"]), int(message["total_bytes"]))
                case "result":
                    self._conclude(message)
        except (ValueError, KeyError, TypeError) as error:
            logger.warning("broadcast line not understood node=%s line=%.200s error=%r", self.name, line, error)

    def _conclude(self, message: dict[str, object]) -> None:
        digest, received_bytes = str(message["digest"]), int(str(message["received_bytes"]))
        logger.info(
            "broadcast node ended node=%s ok=%s bytes=%s seconds=%s upstreams=%s notes=%s",
            *(self.name, message["ok"], received_bytes, message["seconds"], message["upstreams"], message["notes"]),
        )
        if message["ok"] is True and digest == self._digest:
            self._on_progress(self.name, received_bytes, received_bytes)
            self._settle(None, digest, received_bytes)
        elif message["ok"] is True or message["reason"] == FailureReason.DIGEST_MISMATCH:
            description = f"received {digest or 'nothing'} instead of the registered {self._digest}"
            failure = Failure(reason=FailureReason.DIGEST_MISMATCH, description=description)
            self._settle(failure, digest, received_bytes)
        else:
            failure = Failure(reason=FailureReason.TRANSFER_FAILED, description=str(message["description"]))
            self._settle(failure, digest, received_bytes)

    def _settle(self, failure: Failure | None, digest: str, received_bytes: int) -> None:
        if self.received is None:
            self.received = Received(outcome=failure, digest=digest, received_bytes=received_bytes)
        self.done.set()


def _describe_end(result: CommandResult) -> str:
    if result.exit_status in {126, 127}:
        return "the deployment environment has no broadcast program; build it anew"
    words = " ".join(result.stderr.split())[-_QUOTED:]
    return f"the broadcast program ended with status {result.exit_status} and no result: {words or 'it said nothing'}"
