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


def read_limits(table: Table) -> Limits:
    """Returns what the table says; what it does not say has its default."""

    def count(key: str, most: int, unit: str) -> int:
        return table.whole(key, getattr(DEFAULTS, key), least=1, most=most, unit=unit)

    def seconds(key: str, most: float) -> float:
        return table.number(key, getattr(DEFAULTS, key), least=1, most=most, unit="seconds")

    return Limits(
        calls=count("calls", MOST_CALLS, "calls"),
        calls_per_user=count("calls_per_user", MOST_CALLS, "calls"),
        streams=count("streams", MOST_CALLS, "streams"),
        streams_per_user=count("streams_per_user", MOST_CALLS, "streams"),
        calls_per_second=count("calls_per_second", MOST_PER_SECOND, "calls a second"),
        request_seconds=seconds("request_seconds", HOUR),
        upload_seconds=seconds("upload_seconds", 24 * HOUR),
        answer_seconds=seconds("answer_seconds", 24 * HOUR),
        connections=count("connections", MOST_CONNECTIONS, "connections"),
        connections_per_address=count("connections_per_address", MOST_CONNECTIONS, "connections"),
        handshake_seconds=seconds("handshake_seconds", HOUR),
        idle_seconds=seconds("idle_seconds", 24 * HOUR),
    )
