"""What each connection to MariaDB is bound by: no thread of a service waits for ever, and none is waited for."""

from typing import Any, Final

CONNECT_SECONDS: Final = 10
BUSY_SECONDS: Final = 10
"""How long a transaction waits for another one's lock."""
SILENCE_SECONDS = 40
"""How long a server may say nothing before it counts as away; longer than the longest wait for a lock."""
IDLE_SECONDS = 10
"""How long a transaction may stand still before the server ends it: a stopped process must not hold everybody up."""


MIGRATION_SECONDS: Final = 6 * 3600
"""The same for the `db` commands: a large table takes its time to be changed, and an administrator looks on."""


def connect_arguments(*, migrating: bool = False) -> dict[str, Any]:
    """Returns the driver's arguments for a new connection: bounds in seconds, UTC, and every character there is."""
    silence = MIGRATION_SECONDS if migrating else SILENCE_SECONDS
    # Only MariaDB reads what stands in the comment, and only there it is.
    bounds = f"innodb_lock_wait_timeout = {BUSY_SECONDS} /*M!100300 , idle_transaction_timeout = {IDLE_SECONDS} */"
    return {
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": silence,
        "write_timeout": silence,
        "charset": "utf8mb4",
        "init_command": f"SET SESSION time_zone = '+00:00', {bounds}",
    }
