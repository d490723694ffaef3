"""Digests of boot files: "sha256:<hex>" on the wire, "sha256-<hex>" as a file name (a colon is trouble for TFTP)."""

import re

from kadeploy_bootctl.domain.errors import InvalidDigest

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_FILE_NAME = re.compile(r"sha256-[0-9a-f]{64}\Z")
_MENTION = re.compile(r"sha256-[0-9a-f]{64}(?![0-9a-f])")


def parse(text: str) -> str:
    """Returns the digest itself, or raises InvalidDigest."""
    if not _DIGEST.match(text):
        raise InvalidDigest(text)
    return text


def file_name(digest: str) -> str:
    """Returns the name of the file with this content."""
    return digest.replace(":", "-")


def of_file_name(name: str) -> str | None:
    """Returns the digest that a file name tells, or None for another file."""
    return name.replace("-", ":") if _FILE_NAME.match(name) else None


def mentioned_in(text: str) -> frozenset[str]:
    """Returns the digests of the boot files that a free text names."""
    return frozenset(name.replace("-", ":") for name in _MENTION.findall(text))
