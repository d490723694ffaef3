"""Images and script archives as files: what they are by their suffix, how large, and their SHA-256."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from kadeploy.inventory.v1 import environment_pb2
from kadeploy_cli.failures import UsageFailure

CHUNK = 1 << 20

TAR_SUFFIXES = {
    ".tar": environment_pb2.COMPRESSION_NONE,
    ".tar.gz": environment_pb2.COMPRESSION_GZIP,
    ".tgz": environment_pb2.COMPRESSION_GZIP,
    ".tar.bz2": environment_pb2.COMPRESSION_BZIP2,
    ".tbz2": environment_pb2.COMPRESSION_BZIP2,
    ".tar.xz": environment_pb2.COMPRESSION_XZ,
    ".txz": environment_pb2.COMPRESSION_XZ,
    ".tar.zst": environment_pb2.COMPRESSION_ZSTD,
    ".tzst": environment_pb2.COMPRESSION_ZSTD,
}
DD_SUFFIXES = {
    ".dd": environment_pb2.COMPRESSION_NONE,
    ".dd.gz": environment_pb2.COMPRESSION_GZIP,
    ".dd.bz2": environment_pb2.COMPRESSION_BZIP2,
    ".dd.xz": environment_pb2.COMPRESSION_XZ,
    ".dd.zst": environment_pb2.COMPRESSION_ZSTD,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file as it was read just now."""

    uri: str
    digest: str
    size_bytes: int


def kind_of(name: str) -> "tuple[environment_pb2.ImageKind.ValueType, environment_pb2.Compression.ValueType] | None":
    """Returns what a file is by its suffix, None when the suffix says nothing."""
    for kind, suffixes in (
        (environment_pb2.IMAGE_KIND_TAR, TAR_SUFFIXES),
        (environment_pb2.IMAGE_KIND_DD, DD_SUFFIXES),
    ):
        # The longest suffix first: ".tar.gz" before ".gz" would matter if ".gz" were one.
        for suffix in sorted(suffixes, key=len, reverse=True):
            if name.endswith(suffix) and name != suffix:
                return kind, suffixes[suffix]
    return None


def image(name: str, directory: Path) -> environment_pb2.Image:
    """Returns the image that a file is.

    Args:
        name: a path, or file:// and an absolute one.
        directory: what a relative path is relative to.
    """
    known = kind_of(name)
    if known is None:
        suffixes = " ".join([*TAR_SUFFIXES, *DD_SUFFIXES])
        raise UsageFailure(f"{name}: the suffix does not say what image this is; known are {suffixes}")
    stored = read(name, directory)
    return environment_pb2.Image(
        uri=stored.uri,
        kind=known[0],
        compression=known[1],
        digest=stored.digest,
        size_bytes=stored.size_bytes,
    )


def script_archive(name: str, directory: Path, script: str) -> environment_pb2.ScriptArchive:
    """Returns the archive of scripts that a file is, and the script in it that is run."""
    known = kind_of(name)
    if known is None or known[0] != environment_pb2.IMAGE_KIND_TAR:
        suffixes = " ".join(TAR_SUFFIXES)
        raise UsageFailure(f"{name} is no archive of scripts by its suffix; known are {suffixes}")
    stored = read(name, directory)
    return environment_pb2.ScriptArchive(
        uri=stored.uri,
        compression=known[1],
        digest=stored.digest,
        size_bytes=stored.size_bytes,
        script=script,
    )


def read(name: str, directory: Path) -> StoredFile:
    """Reads a file to its end and returns its address, digest and size."""
    if "://" in name and not name.startswith("file://"):
        raise UsageFailure(
            f"{name}: only files can be recorded", advice="Fetch it to a place that the deployer's host sees too."
        )
    try:
        path = Path(os.path.normpath(directory.absolute() / Path(name.removeprefix("file://"))))
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise UsageFailure(f"{name} cannot be read: {error.strerror}") from None
    except ValueError:
        raise UsageFailure(f"{name!r} is not a file name") from None
    if size == 0:
        raise UsageFailure(f"{name} is empty")
    return StoredFile(uri=f"file://{path}", digest=f"sha256:{digest.hexdigest()}", size_bytes=size)
