"""Images and script archives as files: what they are by their suffix, how large, and their SHA-256."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from kadeploy.inventory.v1 import environment_pb2
from kadeploy_cli.environments import image_download
from kadeploy_cli.terminal.failures import UsageFailure

CHUNK = 1 << 20
Kind = tuple["environment_pb2.ImageKind.ValueType", "environment_pb2.Compression.ValueType"]
# "server" and "local" are what Kadeploy 3 wrote before a path; here both hosts see the same one.
UPLOAD = "upload:///"
UPLOAD_ADDRESS = re.compile(r"upload:///[^/]+/sha256-([0-9a-f]{64})-([1-9][0-9]{0,15})")
LOCAL_SCHEMES = ("file", "server", "local")

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

MAGICS = {
    b"\x1f\x8b": environment_pb2.COMPRESSION_GZIP,
    b"BZh": environment_pb2.COMPRESSION_BZIP2,
    b"\xfd7zXZ\x00": environment_pb2.COMPRESSION_XZ,
    b"\x28\xb5\x2f\xfd": environment_pb2.COMPRESSION_ZSTD,
}
"""What compressed files begin with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file as it was read just now."""

    uri: str
    digest: str
    size_bytes: int


def kind_of(name: str) -> Kind | None:
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


def kind_by_suffix(name: str) -> Kind:
    """Returns what a file or the file at an address is by its suffix, or says that the suffix says nothing."""
    kind = kind_of(_path_of(name))
    if kind is None:
        suffixes = " ".join([*TAR_SUFFIXES, *DD_SUFFIXES])
        raise UsageFailure(f"{name}: the suffix does not say what image this is; known are {suffixes}")
    return kind


def image(name: str, directory: Path, known: Kind | None = None) -> environment_pb2.Image:
    """Returns the image that a file is.

    Args:
        name: a path, file:// and an absolute one, or an http(s) address.
        directory: what a relative path is relative to.
        known: what the image is, where a description says it; else its suffix says it.
    """
    kind = known or kind_by_suffix(name)
    stored = read(name, directory)
    return environment_pb2.Image(
        uri=stored.uri,
        kind=kind[0],
        compression=kind[1],
        digest=stored.digest,
        size_bytes=stored.size_bytes,
    )


def script_archive(
    name: str, directory: Path, script: str, compression: "environment_pb2.Compression.ValueType | None" = None
) -> environment_pb2.ScriptArchive:
    """Returns the archive of scripts that a file is, and the script in it that is run."""
    kind = kind_of(_path_of(name))
    if kind is not None and kind[0] != environment_pb2.IMAGE_KIND_TAR:
        suffixes = " ".join(TAR_SUFFIXES)
        raise UsageFailure(f"{name} is no archive of scripts by its suffix; known are {suffixes}")
    if compression is None and kind is None and is_remote(name):
        raise UsageFailure(f"{name}: its suffix does not say how it is compressed; the description has to")
    stored = read(name, directory)
    return environment_pb2.ScriptArchive(
        uri=stored.uri,
        compression=compression or (kind[1] if kind else compression_of(Path(stored.uri.removeprefix("file://")))),
        digest=stored.digest,
        size_bytes=stored.size_bytes,
        script=script,
    )


def compression_of(path: Path) -> "environment_pb2.Compression.ValueType":
    """Returns how a file is compressed by its first bytes. Raises OSError."""
    with path.open("rb") as file:
        begin = file.read(max(len(magic) for magic in MAGICS))
    for magic, compression in MAGICS.items():
        if begin.startswith(magic):
            return compression
    return environment_pb2.COMPRESSION_NONE


def _path_of(name: str) -> str:
    if not is_remote(name):
        return name
    try:
        return urlsplit(name).path
    except ValueError as error:
        raise UsageFailure(f"{name} is no address of a file: {error}") from None


def is_remote(name: str) -> bool:
    """Returns whether a name is the address of a file on an HTTP server."""
    return name.startswith(("http://", "https://"))


def read(name: str, directory: Path) -> StoredFile:
    """Reads a file, or what an http(s) address gives, to its end and returns its address, digest and size."""
    if name.startswith(UPLOAD):
        return _uploaded(name)
    if is_remote(name):
        digest, size = image_download.digest_and_size(name)
        uri = name
    else:
        path, digest, size = _read_local(name, directory)
        uri = f"file://{path}"
    if size == 0:
        raise UsageFailure(f"{name} is empty")
    return StoredFile(uri=uri, digest=digest, size_bytes=size)


def _uploaded(name: str) -> StoredFile:
    """Returns what the address of an upload says of it: it names its content and size."""
    found = UPLOAD_ADDRESS.fullmatch(name)
    if not found:
        raise UsageFailure(f"{name} is no address of an upload", advice="It is upload:///OWNER/sha256-HEX-SIZE.")
    return StoredFile(uri=name, digest=f"sha256:{found[1]}", size_bytes=int(found[2]))


def _local_path(name: str, scheme: str, rest: str) -> Path:
    """Returns the path of a local address. Kadeploy 2 wrote "file:/" before an absolute one: file://home is /home."""
    if name.startswith("file:/") and not name.startswith("file://"):
        return Path(name.removeprefix("file:"))
    if scheme != "file":
        return Path(rest or name)
    return Path("/", rest.removeprefix("localhost/"))


def _read_local(name: str, directory: Path) -> tuple[Path, str, int]:
    scheme, separator, rest = name.partition("://")
    if separator and scheme not in LOCAL_SCHEMES:
        raise UsageFailure(
            f"{name} cannot be recorded: a path, or an address that begins with file://, http:// or https:// is "
            "expected"
        )
    try:
        path = Path(os.path.normpath(directory.absolute() / _local_path(name, scheme, rest)))
        digest, size = hashlib.sha256(), 0
        if path.exists() and not (path.is_file() or path.is_dir()):
            # A device or a pipe may have no end, and is another file for the deployer.
            raise UsageFailure(f"{name} is not a regular file")
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise UsageFailure(
            f"{name} cannot be read: {error.strerror}",
            advice="Its digest is taken here, at the path where the deployer's host has it too." if separator else "",
        ) from None
    except ValueError:
        raise UsageFailure(f"{name!r} is not a file name") from None
    return path, f"sha256:{digest.hexdigest()}", size
