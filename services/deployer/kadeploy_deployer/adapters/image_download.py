"""Brings a file from an HTTP server. Synchronous: it runs in a thread, and ends soon after it is told to stop."""

import hashlib
import http.client
import os
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path

from kadeploy_deployer.ports import DigestDiffers, ImageError

_PART_BYTES = 1 << 20
_SILENCE_SECONDS = 60.0


def download(url: str, path: Path, *, size: int, stopped: threading.Event) -> str:
    """Writes what the server sends to the path, whole or not at all, and returns its digest ("sha256:<hex>").

    Args:
        url: http or https; so is whatever it redirects to.
        path: written by renaming, so that a reader sees a whole file.
        size: more than this is not taken.
        stopped: set when nobody wants the file any more.

    Raises:
        ImageError: the server does not give it, or gives more (DigestDiffers).
        OSError: the path cannot be written.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".download-")
    try:
        with os.fdopen(handle, "wb") as file:
            digest = _receive(url, file.fileno(), size, stopped)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return digest


def _receive(url: str, descriptor: int, size: int, stopped: threading.Event) -> str:
    whole = hashlib.sha256()
    count = 0
    try:
        with _opener().open(url, timeout=_SILENCE_SECONDS) as answer:
            announced = answer.headers["Content-Length"] or ""
            while part := _read(answer, url):
                count += len(part)
                if stopped.is_set():
                    raise ImageError(f"the download of {url} was given up")
                if count > size:
                    raise DigestDiffers(f"{url} has more than the {size} bytes that are registered")
                whole.update(part)
                _write(descriptor, part)
            if announced.isdigit() and count < int(announced):
                raise ImageError(f"{url} cannot be fetched: it broke off after {count} of {announced} bytes")
    except urllib.error.HTTPError as error:
        with error:
            raise ImageError(f"{url} cannot be fetched: the server answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise ImageError(f"{url} cannot be fetched: {error.reason}") from error
    except http.client.HTTPException as error:
        raise ImageError(f"{url} cannot be fetched: {str(error) or type(error).__name__}") from error
    return f"sha256:{whole.hexdigest()}"


def _read(answer: http.client.HTTPResponse, url: str) -> bytes:
    try:
        return answer.read(_PART_BYTES)
    except OSError as error:
        raise ImageError(f"{url} cannot be fetched: {error.strerror or error}") from error


def _write(descriptor: int, part: bytes) -> None:
    view = memoryview(part)
    while view:
        view = view[os.write(descriptor, view) :]


def _opener() -> urllib.request.OpenerDirector:
    """Returns an opener that knows HTTP alone: no redirection leads to a local file."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener
