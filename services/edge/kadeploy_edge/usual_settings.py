"""The keys that stand in the settings of every service."""

from pathlib import Path

from kadeploy_edge.settings_table import Table

MOST_WORKERS = 256


def read_address(table: Table, default: str) -> str:
    """Returns where the service listens."""
    return table.text(
        "address",
        default,
        doc='Where to listen: HOST:PORT, which needs [tls], or "unix:/path". `serve --insecure` listens on loopback in '
        "plain text.",
    )


def read_administrators(table: Table, *, who: str) -> frozenset[str]:
    """Returns the users who administrate the site; `who` says what they may do here."""
    return table.names("administrators", {"root"}, doc=f"The users who administrate the site: {who}.")


def read_audit_log(
    table: Table, *, service: str, records: str = "every refused and every changing call"
) -> Path | None:
    """Returns the file of audit records, None for the log; `records` says what is recorded."""
    return table.optional_path(
        "audit_log",
        doc=f"The file of audit records: {records}, one JSON line each. Default: the service's log.",
        example=f"/var/log/kadeploy/{service}/audit.json",
    )


def read_workers(table: Table) -> int:
    """Returns how many calls a service with a thread a call answers at once."""
    return table.whole(
        "maximum_workers", 16, least=1, most=MOST_WORKERS, unit="calls", doc="How many calls are answered at once."
    )
