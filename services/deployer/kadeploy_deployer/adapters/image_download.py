"""Fetches a file from an HTTP server: without a thread that waits for the server, within a time, and never too much."""

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from kadeploy_deployer.adapters.image_hosts import ImageHosts
from kadeploy_deployer.files.file_threads import FileThreads
from kadeploy_deployer.files.user_limiter import UserLimiter
from kadeploy_deployer.ports import DigestDiffers, ImageError, OpenedFile

_PART_BYTES = 1 << 20
_CONNECT_SECONDS = 15.0
_ANSWER_SECONDS = 45.0
_SILENCE_SECONDS = 30.0
_PART = 206
_MOST_BREAKS, _BREAK_SECONDS = 5, 1.0
_GOOD = 200
_MOST_REDIRECTIONS = 5
_REDIRECTIONS = frozenset({301, 302, 303, 307, 308})
_LONGEST_REASON = 100
# The file as it is: a server that packs it for the way would spoil its digest.
_HEADERS = {"User-Agent": "kadeploy", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadLimits:
    """What downloads may take.

    Attributes:
        largest: bytes of a file.
        rate: bytes per second; a server that gives less is too slow, in each window and in all.
        window: seconds over which the rate is looked at.
        in_all: how many downloads go on at a time.
        per_user: how many of them for one user.
    """

    largest: int = 64 << 30
    rate: float = 1_000_000
    window: float = 60.0
    in_all: int = 8
    per_user: int = 2

    def seconds(self, size: int) -> float:
        """Returns how long the download of a file may take in all."""
        return 2 * self.window + size / self.rate


class ImageDownloads:
    """Downloads files from the servers that the site named; each redirection is judged as the first address was."""

    def __init__(self, hosts: ImageHosts, limits: DownloadLimits | None = None) -> None:
        self.hosts = hosts
        self._limits = limits or DownloadLimits()
        self._limiter = UserLimiter(in_all=self._limits.in_all, per_user=self._limits.per_user)
        # One for each download, so that none waits with its server's answer in hand.
        self._threads = FileThreads(in_all=self._limits.in_all, per_user=self._limits.in_all)

    @asynccontextmanager
    async def slot(self, user: str) -> AsyncIterator[None]:
        """Waits until a user may download, and holds the slot meanwhile."""
        async with self._limiter.slot(user):
            yield

    async def download(self, address: str, into: OpenedFile, *, size: int, user: str) -> str:
        """Writes what the server sends into an empty file, and returns its digest ("sha256:<hex>").

        Args:
            address: of the file.
            into: a file that is open for writing, too.
            size: more than this is not taken.
            user: for whom.

        Raises:
            ImageError: the server does not give it, is no server for images, or gives more (DigestDiffers).
            OSError: the file cannot be written.
        """
        largest = self._limits.largest
        if size > largest:
            raise ImageError(f"{address} cannot be fetched: {size} bytes are registered, at most {largest} are allowed")
        seconds = self._limits.seconds(size)
        try:
            async with asyncio.timeout(seconds):
                return await self._follow_on(address, _Sink(into, self._threads), size, user)
        except aiohttp.ClientError as error:
            raise ImageError(f"{address} cannot be fetched: {_words(error)}") from error
        except TimeoutError:
            raise ImageError(f"{address} cannot be fetched: it was not complete within {seconds:.0f} s") from None

    async def _follow_on(self, address: str, sink: "_Sink", size: int, user: str) -> str:
        """Goes on with what broke off, from there, where the server can give a part of the file."""
        for _ in range(_MOST_BREAKS):
            before = sink.received
            try:
                return await self._follow(address, sink, size, user)
            except BrokenOff as problem:
                if not problem.goes_on or sink.received == before:
                    raise
            await asyncio.sleep(_BREAK_SECONDS)
        return await self._follow(address, sink, size, user)

    async def _follow(self, address: str, sink: "_Sink", size: int, user: str) -> str:
        url = self.hosts.parse(address)
        for _ in range(_MOST_REDIRECTIONS + 1):
            resolver = await self.hosts.resolver(url, user=user)
            async with self._answer(url, resolver, sink.received) as answer:
                if answer.status not in _REDIRECTIONS:
                    return await self._receive(answer, address, sink, size)
                target = answer.headers.get("Location", "")
            try:
                url = self.hosts.parse(str(url.join(URL(target))))
            except (ImageError, ValueError) as error:
                raise ImageError(f"{address} cannot be fetched: its server sends on to elsewhere: {error}") from None
        raise ImageError(f"{address} cannot be fetched: it was sent on more than {_MOST_REDIRECTIONS} times")

    @asynccontextmanager
    async def _answer(self, url: URL, resolver: AbstractResolver, offset: int) -> AsyncIterator[aiohttp.ClientResponse]:
        connector = aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, force_close=True)
        timeout = aiohttp.ClientTimeout(sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS)
        # The variables of the environment that name proxies and passwords count for nothing.
        session = aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            headers=_HEADERS,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        async with session:
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    rest = {"Range": f"bytes={offset}-"} if offset else {}
                    answer = await session.get(url, allow_redirects=False, proxy=self.hosts.proxy or None, headers=rest)
            except TimeoutError:
                raise ImageError(f"{url} cannot be fetched: the server does not answer") from None
            async with answer:
                yield answer

    async def _receive(self, answer: aiohttp.ClientResponse, address: str, sink: "_Sink", size: int) -> str:
        count = sink.received
        if answer.status != (_PART if count else _GOOD):
            reason = (answer.reason or "")[:_LONGEST_REASON]
            raise ImageError(f"{address} cannot be fetched: the server answered {answer.status} {reason}".rstrip())
        if count and not answer.headers.get("Content-Range", "").startswith(f"bytes {count}-"):
            raise ImageError(f"{address} cannot be fetched: it broke off, and its server gave another part than asked")
        announced = answer.content_length
        too_much = DigestDiffers(f"{address} has more than the {size} bytes that are registered")
        if announced is not None and announced + count > size:
            raise too_much
        pace = _Pace(rate=self._limits.rate, window=self._limits.window)
        while part := await self._part(answer, address, count):
            count += len(part)
            if count > size:
                raise too_much
            if not pace.keeps_up(len(part)):
                raise ImageError(
                    f"{address} cannot be fetched: its server gives less than {self._limits.rate:.0f} bytes per second"
                )
            await sink.take(part)
            pace.go_on()
        return await sink.end()

    async def _part(self, answer: aiohttp.ClientResponse, address: str, count: int) -> bytes:
        """Returns what has come, empty at the end."""
        try:
            return await answer.content.readany()
        except aiohttp.ClientPayloadError:
            of = "" if answer.content_length is None else f" of {answer.content_length}"
            goes_on = "bytes" in answer.headers.get("Accept-Ranges", "") or answer.status == _PART
            text = f"{address} cannot be fetched: it broke off after {count}{of} bytes"
            raise BrokenOff(text, goes_on=goes_on) from None


class BrokenOff(ImageError):
    """The connection ended before the file did. `goes_on`: whether the server gives parts of files."""

    def __init__(self, text: str, *, goes_on: bool) -> None:
        super().__init__(text)
        self.goes_on = goes_on


class _Pace:
    """Watches how fast a server is. The time in which what came is written does not count."""

    def __init__(self, *, rate: float, window: float) -> None:
        self._rate = rate
        self._span = window
        self._waited = 0.0
        self._bytes = 0
        self._since = time.monotonic()

    def keeps_up(self, count: int) -> bool:
        """Notes that so many bytes have come; returns False if the window that ended now was too poor."""
        self._waited += time.monotonic() - self._since
        self._bytes += count
        if self._waited < self._span:
            return True
        good = self._bytes >= self._rate * self._waited
        self._waited, self._bytes = 0.0, 0
        return good

    def go_on(self) -> None:
        """Says that the server is waited for again."""
        self._since = time.monotonic()


class _Sink:
    """Takes what comes and writes it in larger parts, in threads."""

    def __init__(self, file: OpenedFile, threads: FileThreads) -> None:
        self._file = file
        self._threads = threads
        self._parts: list[bytes] = []
        self._size = 0
        self.received = 0
        self._whole = hashlib.sha256()

    async def take(self, part: bytes) -> None:
        """Takes a part. Raises OSError."""
        self._parts.append(part)
        self._size += len(part)
        self.received += len(part)
        if self._size >= _PART_BYTES:
            await self._threads.run(self._write)

    async def end(self) -> str:
        """Writes what is left, makes it durable, and returns the digest of all. Raises OSError."""
        await self._threads.run(self._write)
        await self._threads.run(self._sync)
        return f"sha256:{self._whole.hexdigest()}"

    def _write(self, stopped: threading.Event) -> None:
        with self._file.in_use() as descriptor:
            for part in self._parts:
                self._whole.update(part)
                view = memoryview(part)
                while view and not stopped.is_set():
                    view = view[os.write(descriptor, view) :]
        self._parts.clear()
        self._size = 0

    def _sync(self, _stopped: threading.Event) -> None:
        with self._file.in_use() as descriptor:
            os.fsync(descriptor)


def _words(error: aiohttp.ClientError) -> str:
    """Returns what went wrong with a connection, in a few words."""
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno
        return os.strerror(number) if number and number > 0 else "no connection can be made"
    if isinstance(error, TimeoutError):
        return "its server says nothing any more"
    return (str(error).splitlines() or [type(error).__name__])[0][:_LONGEST_REASON]
