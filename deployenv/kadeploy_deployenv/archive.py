"""Packs file trees: newc cpio (what the kernel unpacks) and tar, reproducibly, and compresses them."""

import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

from kadeploy_deployenv.failure import BuildFailure
from kadeploy_deployenv.file_tree import Entry

# 2023-06-10, the release of Debian 12. One fixed time makes two builds of the same input equal;
# it is not zero, because some programs take 1970 for a clock that was never set.
FIXED_TIME = 1_686_355_200


def build_time() -> int:
    """Returns the time that files of an image bear: SOURCE_DATE_EPOCH of the process's environment, or the fixed one.

    Raises BuildFailure if that is no number.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if text and not (text.isascii() and text.isdigit() and int(text) < _LARGEST_TIME):
        raise BuildFailure(f"SOURCE_DATE_EPOCH is {text!r}; it has to be seconds since 1970")
    return int(text) if text else FIXED_TIME


# The kernel looks for the next archive of a concatenation at a multiple of four; 512 is what cpio itself uses.
_CPIO_BLOCK = 512
_LARGEST_TIME = 1 << 32  # what the eight digits of a cpio header hold


def cpio(entries: Iterable[Entry], *, time: int = FIXED_TIME) -> bytes:
    """Returns a newc archive of the entries, everything owned by root and of the same time."""
    out = bytearray()
    for inode, entry in enumerate(entries, start=1):
        out += _cpio_member(entry.path, entry.mode, entry.content, inode=inode, time=time)
    out += _cpio_member("TRAILER!!!", 0, b"", inode=0, time=time)
    return bytes(_padded(out, _CPIO_BLOCK))


def tar(entries: Iterable[Entry]) -> bytes:
    """Returns a GNU tar archive of the entries, everything owned by root."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for entry in entries:
            member = tarfile.TarInfo(f"./{entry.path}")
            member.mode = stat.S_IMODE(entry.mode)
            member.mtime = FIXED_TIME
            member.uname = member.gname = "root"
            if stat.S_ISDIR(entry.mode):
                member.type = tarfile.DIRTYPE
                archive.addfile(member)
            elif stat.S_ISLNK(entry.mode):
                member.type = tarfile.SYMTYPE
                member.linkname = entry.content.decode()
                archive.addfile(member)
            else:
                member.size = len(entry.content)
                archive.addfile(member, io.BytesIO(entry.content))
    return out.getvalue()


def compress_zstd(data: bytes, *, level: int = 19) -> bytes:
    """Returns the data compressed by zstd, which the kernel and the nodes unpack fastest."""
    return _zstd([f"-{level}", "--stdout"], data)


def compress_file(source: Path, target: Path, *, level: int) -> None:
    """Compresses a file by zstd into another file."""
    _zstd([f"-{level}", "--force", "-o", str(target), str(source)], b"")


def _zstd(arguments: list[str], data: bytes) -> bytes:
    try:
        return subprocess.run(
            ["zstd", "--quiet", "-T0", *arguments],
            input=data,
            capture_output=True,
            check=True,
            timeout=900,
        ).stdout
    except FileNotFoundError:
        raise BuildFailure("zstd is not installed; install the Debian package zstd") from None
    except subprocess.CalledProcessError as error:
        raise BuildFailure(f"zstd failed: {error.stderr.decode().strip()}") from error


def _cpio_member(name: str, mode: int, content: bytes, *, inode: int, time: int) -> bytes:
    encoded = name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    numbers = (
        inode, mode, 0, 0, links, time, len(content), 0, 0, 0, 0, len(encoded), 0,
    )  # fmt: skip
    header = bytearray(b"070701" + b"".join(b"%08x" % number for number in numbers) + encoded)
    return bytes(_padded(_padded(header, 4) + content, 4))


def _padded(data: bytearray, block: int) -> bytearray:
    return data + bytes(-len(data) % block)
