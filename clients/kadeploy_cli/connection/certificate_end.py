"""Says in time that the caller's certificate ends. One of `ka login` ends soon by nature, so nothing is said of it."""

import functools
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kadeploy_cli.terminal.output import say
from kadeploy_edge.tls import UnusableCertificate, read_certificates

SAY_BEFORE = timedelta(days=14)
LONG_LIFE = timedelta(days=15)


@functools.cache
def warn_of_end(path: Path) -> None:
    """Says on stderr, once a command, that a long certificate ends within two weeks."""
    try:
        certificate = read_certificates(path)[0]
    except UnusableCertificate:
        return  # Whoever opens the channel says it.
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    if timedelta(0) < left < SAY_BEFORE and life > LONG_LIFE:
        end = certificate.not_valid_after_utc.astimezone()
        say(f"Your certificate {path} ends on {end:%Y-%m-%d %H:%M}, in {left.days} days: have it renewed.")
