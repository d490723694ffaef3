"""What packed files begin with: whether a file can be what it is registered as, known before a disk is touched."""

from collections.abc import Mapping
from typing import Final

MAGICS: Final[Mapping[str, tuple[bytes, ...]]] = {
    "gzip": (b"\x1f\x8b", b"\x1f\x9d", b"PK"),
    "bzip2": (b"BZh",),
    # xz unpacks the older .lzma, too.
    "xz": (b"\xfd7zXZ\x00", b"\x5d\x00\x00"),
    "zstd": (b"\x28\xb5\x2f\xfd",),
}
"""By compression; the programs take more than the form that they write."""
SKIPPABLE_ENDS = b"\x2a\x4d\x18"
"""After one byte from 0x50 to 0x5f: a frame of zstd that is passed over, as pzstd writes it."""
MAGIC_BYTES = 8


def begins_as(compression: str, begin: bytes) -> bool:
    """Returns whether a file of a compression may begin so. Any content may be in one that is not compressed."""
    known = MAGICS.get(compression)
    if known is None or begin.startswith(known):
        return True
    return compression == "zstd" and begin[1:4] == SKIPPABLE_ENDS and 0x50 <= begin[0] <= 0x5F  # noqa: PLR2004
