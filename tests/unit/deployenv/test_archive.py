"""cpio and tar archives: entries in order, the same bytes each time."""

import io
import tarfile

from kadeploy_deployenv.archive import FIXED_TIME, cpio, tar
from kadeploy_deployenv.file_tree import FileTree


def sample() -> FileTree:
    tree = FileTree()
    tree.directory("tmp", 0o1777)
    tree.file("init", b"#!/bin/sh\n", 0o755)
    tree.symlink("bin", "usr/bin")
    return tree


def members(archive: bytes) -> list[tuple[str, int, bytes]]:
    """Reads a newc archive the way its format is described: fixed hex fields, everything padded to four."""
    found: list[tuple[str, int, bytes]] = []
    at = 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        name_start = at + 110
        name = archive[name_start : name_start + fields[11] - 1].decode()
        content_start = (name_start + fields[11] + 3) & ~3
        if name == "TRAILER!!!":
            return found
        assert fields[2:4] == [0, 0], "everything belongs to root"
        assert fields[5] == FIXED_TIME
        found.append((name, fields[1], archive[content_start : content_start + fields[6]]))
        at = (content_start + fields[6] + 3) & ~3


def test_a_cpio_archive_holds_the_entries_in_order() -> None:
    assert members(cpio(sample().entries())) == [
        ("bin", 0o120777, b"usr/bin"),
        ("init", 0o100755, b"#!/bin/sh\n"),
        ("tmp", 0o041777, b""),
    ]


def test_another_archive_can_follow_a_cpio_archive() -> None:
    assert len(cpio(sample().entries())) % 512 == 0


def test_the_same_tree_gives_the_same_bytes() -> None:
    assert cpio(sample().entries()) == cpio(sample().entries())
    assert tar(sample().entries()) == tar(sample().entries())


def test_a_tar_archive_holds_the_entries_owned_by_root() -> None:
    with tarfile.open(fileobj=io.BytesIO(tar(sample().entries()))) as archive:
        found = {m.name: (m.type, m.mode, m.uid, m.gid, m.mtime, m.linkname) for m in archive}
        content = archive.extractfile("./init")
        assert content is not None
        assert content.read() == b"#!/bin/sh\n"

    assert found == {
        "./bin": (tarfile.SYMTYPE, 0o777, 0, 0, FIXED_TIME, "usr/bin"),
        "./init": (tarfile.REGTYPE, 0o755, 0, 0, FIXED_TIME, ""),
        "./tmp": (tarfile.DIRTYPE, 0o1777, 0, 0, FIXED_TIME, ""),
    }
