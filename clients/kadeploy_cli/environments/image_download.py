"""Reads a file from an HTTP server to its end, to know its digest and size. Nothing of it is kept."""

import hashlib
import http.client
import time
import urllib.error
from collections.abc import Iterator

from kadeploy_cli.connection.http_opener import http_opener
from kadeploy_cli.terminal.failures import UsageFailure

CHUNK = 1 << 20
SILENCE_SECONDS = 60.0
MAXIMUM_SECONDS = 4 * 3600.0
MAXIMUM_BYTES = 1 << 40


def digest_and_size(url: str) -> tuple[str, int]:
    """Returns "sha256:<hex>" and the size of what an http(s) address gives, or says why it cannot."""
    whole, size = hashlib.sha256(), 0
    for part in _fetched(url):
        whole.update(part)
        size += len(part)
        if size > MAXIMUM_BYTES:
            raise UsageFailure(f"{url} has more than {MAXIMUM_BYTES >> 30} GiB")
    return f"sha256:{whole.hexdigest()}", size


def content(url: str, *, most: int) -> bytes:
    """Returns the first bytes of what an http(s) address gives, or says why it cannot."""
    found = b""
    for part in _fetched(url):
        found += part
        if len(found) >= most:
            break
    return found[:most]


def _fetched(url: str) -> Iterator[bytes]:
    """Gives what an address gives, in parts. Raises UsageFailure."""
    try:
        yield from _parts(url)
    except urllib.error.HTTPError as error:
        with error:
            raise UsageFailure(f"{url} cannot be fetched: the server answered {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise UsageFailure(f"{url} cannot be fetched: {error.reason}") from None
    except (http.client.HTTPException, OSError, ValueError) as error:
        raise UsageFailure(f"{url} cannot be fetched: {str(error) or type(error).__name__}") from None


def _parts(url: str) -> Iterator[bytes]:
    deadline = time.monotonic() + MAXIMUM_SECONDS
    with http_opener().open(url, timeout=SILENCE_SECONDS) as answer:
        announced = answer.headers["Content-Length"] or ""
        count = 0
        while part := answer.read(CHUNK):
            count += len(part)
            yield part
            if time.monotonic() > deadline:
                raise UsageFailure(f"{url} was not read to its end in {MAXIMUM_SECONDS / 3600:g} hours")
        if announced.isdigit() and count < int(announced):
            raise UsageFailure(f"{url} cannot be fetched: it broke off after {count} of {announced} bytes")
