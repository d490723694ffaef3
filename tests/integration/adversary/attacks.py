"""Attacks on a service, each of which goes on for as long as a block lasts. Tests and the benchmark use the same."""

import itertools
import random
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress

from tests.fakes.raw_http2 import RawConnection, message_prefix
from tests.integration.adversary import bad_requests
from tests.integration.adversary.bad_requests import (
    DEEP,
    HEALTH_WATCH,
    MALFORMED,
    MANY_EMPTY_MESSAGES,
    MEBIBYTE,
    REFLECTION,
    answer_of,
    methods_of,
    path_of,
    too_large,
)
from tests.tls_site import TlsSite

Attack = Callable[[TlsSite, str, str], AbstractContextManager[None]]
"""Of a site, a service and a caller."""

AT_ONCE = 8
PROBE_STREAMS = 50
SILENT_CONNECTIONS = 1_100
TRICKLE_SECONDS = 0.1
_END_SECONDS = 60.0


@contextmanager
def half_open(site: TlsSite, service: str, caller: str) -> Iterator[None]:
    """Begins every call eight times, and sends nothing."""
    with _begun(site, service, caller, _paths(service) * AT_ONCE):
        yield


@contextmanager
def slow(site: TlsSite, service: str, caller: str) -> Iterator[None]:
    """Begins every call, and sends its request byte after byte."""
    prefix = message_prefix(MEBIBYTE)
    with _begun(site, service, caller, _paths(service)) as connection:

        def trickle(ended: threading.Event) -> None:
            for place in itertools.count():
                for stream in connection.streams:
                    connection.send(stream, prefix[place : place + 1] or b"\x00")
                if ended.wait(TRICKLE_SECONDS):
                    return

        with _in_thread(trickle):
            yield


@contextmanager
def probes(site: TlsSite, service: str, caller: str) -> Iterator[None]:
    """Begins many watches of the health and many reflections, and says nothing more."""
    with _begun(site, service, caller, [REFLECTION, HEALTH_WATCH] * PROBE_STREAMS):
        yield


@contextmanager
def silent_connections(site: TlsSite, service: str, _caller: str) -> Iterator[None]:
    """Connects and does not even shake hands, so that nobody in particular attacks."""
    with ExitStack() as stack:
        for _ in range(SILENT_CONNECTIONS):
            with suppress(OSError):
                stack.enter_context(socket.create_connection(site.address(service), timeout=2))
        yield


@contextmanager
def huge(site: TlsSite, service: str, caller: str) -> Iterator[None]:
    """Sends requests of 64 MiB, one after the other."""
    with _repeated(site, service, caller, [bad_requests.huge()]):
        yield


@contextmanager
def bad_bytes(site: TlsSite, service: str, caller: str) -> Iterator[None]:
    """Sends malformed, deep and too large requests, one after the other."""
    largest = max((too_large(method) for method in methods_of(service)), key=len)
    with _repeated(site, service, caller, [MALFORMED, DEEP, MANY_EMPTY_MESSAGES, largest]):
        yield


@contextmanager
def flood(site: TlsSite, service: str, caller: str) -> Iterator[None]:
    """Makes calls without a pause, whatever is said to them."""
    with ExitStack() as stack:
        for _ in range(AT_ONCE):
            stack.enter_context(_repeated(site, service, caller, [b""]))
        yield


@contextmanager
def unread(site: TlsSite, service: str, caller: str) -> Iterator[None]:
    """Makes every call, and takes nothing of its answer."""
    with RawConnection(site.address(service), site.files(caller), initial_window=0) as connection, suppress(OSError):
        for path in _paths(service):
            connection.send_message(connection.begin(path), b"")
        yield


@contextmanager
def garbage(site: TlsSite, service: str, caller: str) -> Iterator[None]:
    """Sends frames of HTTP/2 without any sense, on one connection after the other."""
    draw = random.Random(caller)  # noqa: S311 - the same garbage each time

    def go_on(ended: threading.Event) -> None:
        while not ended.wait(TRICKLE_SECONDS):
            with RawConnection(site.address(service), site.files(caller)) as connection, suppress(OSError):
                connection.begin(REFLECTION)
                for _ in range(100):
                    content = draw.randbytes(draw.randrange(200))
                    connection.send_frame(draw.randrange(12), draw.randrange(256), draw.randrange(5), content)

    with _in_thread(go_on):
        yield


ATTACKS: Mapping[str, Attack] = {
    "half-open": half_open,
    "slow": slow,
    "probes": probes,
    "silent connections": silent_connections,
    "huge": huge,
    "bad bytes": bad_bytes,
    "flood": flood,
    "unread": unread,
    "garbage": garbage,
}


def _paths(service: str) -> list[str]:
    return [path_of(method) for method in methods_of(service)]


@contextmanager
def _begun(site: TlsSite, service: str, caller: str, paths: list[str]) -> Iterator[RawConnection]:
    """Begins calls, and gives the connection that they are on."""
    with RawConnection(site.address(service), site.files(caller)) as connection:
        with suppress(OSError):
            for path in paths:
                connection.begin(path)
        yield connection


@contextmanager
def _repeated(site: TlsSite, service: str, caller: str, contents: list[bytes]) -> Iterator[None]:
    """Makes every call with each of some requests, over and over, on one channel."""
    rounds = itertools.cycle(itertools.product(contents, _paths(service)))

    def go_on(ended: threading.Event) -> None:
        with site.channel(service, caller) as channel:
            while not ended.is_set():
                content, path = next(rounds)
                answer_of(channel, path, iter([content]))

    with _in_thread(go_on):
        yield


@contextmanager
def _in_thread(work: Callable[[threading.Event], None]) -> Iterator[None]:
    ended = threading.Event()

    def go_on() -> None:
        # A service ends the connections of those who attack it.
        with suppress(OSError):
            work(ended)

    thread = threading.Thread(target=go_on, name="attack", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(_END_SECONDS)
        assert not thread.is_alive()
