"""The keys that stand in the settings of every service."""

from pathlib import Path

from kadeploy_edge.log_lines import LOG_FORMATS
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


def read_log_format(table: Table) -> str:
    """Returns the form of the log: a word of LOG_FORMATS."""
    log = table.table("log")
    log.describe("The log, which goes to standard error: to the journal, where systemd runs the service.")
    return log.choice(
        "format",
        LOG_FORMATS,
        "text",
        doc='"text": lines for people; "json": an object a line, for programs.',
    )


def read_tracing_endpoint(table: Table) -> str:
    """Returns where spans are sent; empty where the settings have no [tracing]. Raises BadSettings."""
    tracing = table.table("tracing")
    tracing.describe(
        "Spans of calls for OpenTelemetry (docs/monitoring.md), which has to be installed: kadeploy-edge[tracing]. "
        "Default: without this table there are none.",
        optional=True,
    )
    if not tracing.is_there:
        return ""
    endpoint = tracing.text(
        "endpoint", doc="Where a collector takes OTLP over HTTP.", example="http://127.0.0.1:4318/v1/traces"
    )
    if not endpoint.startswith(("http://", "https://")):
        raise tracing.refusal("endpoint", "a URL such as http://127.0.0.1:4318/v1/traces", endpoint)
    return endpoint


def read_workers(table: Table) -> int:
    """Returns how many calls a service with a thread a call answers at once."""
    return table.whole(
        "maximum_workers", 16, least=1, most=MOST_WORKERS, unit="calls", doc="How many calls are answered at once."
    )
