"""How much a service gives its callers at once: the table [limits] of its settings."""

from dataclasses import dataclass

from kadeploy_edge.settings_file import Table

MOST_CALLS = 100_000
MOST_CONNECTIONS = 1_000_000
MOST_PER_SECOND = 1_000_000
HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one service. Each of them bounds memory, threads or file descriptors.

    Services and administrators are trusted more than users: each of them may have half of `calls` and of `streams`.

    Attributes:
        calls: calls at once, in all, streams apart.
        calls_per_user: calls at once of one user, streams apart.
        streams: streams at once, in all: watches, consoles, reboots, commands, uploads.
        streams_per_user: streams at once of one user.
        calls_per_second: calls of one user in the long run; five times as many may come at once.
        request_seconds: how long a request may take to arrive; of an upload, each message.
        upload_seconds: how long an upload may take as a whole.
        answer_seconds: how long a caller may leave an answer unread.
        connections: connections at once, in all.
        connections_per_address: connections at once of one address.
        handshake_seconds: how long a new connection may take to prove who it is.
        idle_seconds: how long a connection may stand without a call.
    """

    calls: int = 2048
    calls_per_user: int = 32
    streams: int = 4096
    streams_per_user: int = 256
    calls_per_second: int = 100
    request_seconds: float = 10.0
    upload_seconds: float = HOUR
    answer_seconds: float = 600.0
    connections: int = 4096
    connections_per_address: int = 512
    handshake_seconds: float = 10.0
    idle_seconds: float = 300.0


DEFAULTS = Limits()


_DOC = (
    "What callers can take at once, so that no caller keeps the others out (docs/limits.md). A call beyond a limit is "
    "refused (TOO_MANY_CALLS) and may be made again later. Services and administrators count each as half of everybody."
)


def read_limits(table: Table) -> Limits:
    """Returns what the table says; what it does not say has its default."""
    table.describe(_DOC)

    def count(key: str, most: int, unit: str, doc: str) -> int:
        return table.whole(key, getattr(DEFAULTS, key), least=1, most=most, unit=unit, doc=doc)

    def seconds(key: str, most: float, doc: str) -> float:
        return table.number(key, getattr(DEFAULTS, key), least=1, most=most, unit="seconds", doc=doc)

    one_address = (
        "Connections of one address at once (of IPv6: of one /64). Where many users work on one host, or come through "
        "one address translation, that address needs room for all of them."
    )
    return Limits(
        calls=count("calls", MOST_CALLS, "calls", "Calls at once, in all; streams apart."),
        calls_per_user=count("calls_per_user", MOST_CALLS, "calls", "Calls of one user at once; streams apart."),
        streams=count("streams", MOST_CALLS, "streams", "Watches, consoles, reboots, commands, uploads at once."),
        streams_per_user=count("streams_per_user", MOST_CALLS, "streams", "The same, of one user."),
        calls_per_second=count(
            "calls_per_second",
            MOST_PER_SECOND,
            "calls a second",
            "Calls of one user in the long run. Five times as many may come at once.",
        ),
        request_seconds=seconds(
            "request_seconds", HOUR, "How long a request may take to arrive; of an upload, each message."
        ),
        upload_seconds=seconds("upload_seconds", 24 * HOUR, "How long an upload may take as a whole."),
        answer_seconds=seconds("answer_seconds", 24 * HOUR, "How long an answer may be left unread."),
        connections=count("connections", MOST_CONNECTIONS, "connections", "Connections at once, in all."),
        connections_per_address=count("connections_per_address", MOST_CONNECTIONS, "connections", one_address),
        handshake_seconds=seconds("handshake_seconds", HOUR, "How long a new connection may take to prove who it is."),
        idle_seconds=seconds("idle_seconds", 24 * HOUR, "How long a connection may stand without a call."),
    )
