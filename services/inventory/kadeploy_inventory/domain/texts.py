"""Texts that end up in files and on command lines: single lines, digests, URIs, paths in images, archives' scripts."""

import re
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from kadeploy_inventory.domain.uploads import SCHEME, parse_upload

MAXIMUM_LINE = 2048
NO_SCRIPT = "none"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}\Z")
_FILE_SYSTEM = re.compile(r"[a-z][a-z0-9_]{0,15}\Z")


def parse_line(text: str) -> str:
    """Returns a text of one line, such as kernel arguments: no newline, no NUL, no other control character."""
    if _CONTROL.search(text):
        raise ValueError("must be one line without control characters")
    if len(text) > MAXIMUM_LINE:
        raise ValueError(f"must not be longer than {MAXIMUM_LINE} characters")
    return text


def parse_digest(text: str) -> str:
    """Returns a digest `sha256:<64 hex digits>` in lower case."""
    lower = text.lower()
    if not _DIGEST.match(lower):
        raise ValueError(f"must be sha256: and 64 hexadecimal digits: {text!r}")
    return lower


def parse_uri(text: str) -> str:
    """Returns the URI of a file: `file:///absolute/path`, or http(s) with a host."""
    parse_line(text)
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise ValueError(f"is no URI ({error}): {text!r}") from None
    if parts.scheme == "file":
        if parts.netloc or not _is_absolute(parts.path):
            raise ValueError(f"must be file:// and an absolute path without ..: {text!r}")
        return text
    if parts.scheme == SCHEME:
        parse_upload(text)
        return text
    if parts.scheme in {"http", "https"} and parts.netloc:
        return text
    raise ValueError(f"must begin with file:///, http:// or https://: {text!r}")


def parse_image_path(text: str) -> str:
    """Returns an absolute path inside an image, or the empty text."""
    parse_line(text)
    if text and not _is_absolute(text):
        raise ValueError(f"must be an absolute path inside the image, without ..: {text!r}")
    return text


def parse_script(text: str) -> str:
    """Returns a path inside an archive, or `none`."""
    parse_line(text)
    path = PurePosixPath(text)
    if not text or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"must be a path inside the archive, without .., or none: {text!r}")
    return text


def parse_file_system(text: str) -> str:
    """Returns the name of a file system such as `ext4`, or the empty text."""
    if text and not _FILE_SYSTEM.match(text):
        raise ValueError(f"is no name of a file system such as ext4: {text!r}")
    return text


def parse_architecture(text: str) -> str:
    """Returns the name of an architecture such as `x86_64`, or the empty text."""
    if text and not _ARCHITECTURE.match(text):
        raise ValueError(f"is no name of an architecture such as x86_64: {text!r}")
    return text


def _is_absolute(path: str) -> bool:
    return path.startswith("/") and not path.endswith("/") and ".." not in PurePosixPath(path).parts
