"""The tree that an archive is made of: order, modes, links."""

import stat
from pathlib import Path

import pytest

from kadeploy_deployenv.file_tree import FileTree


def test_an_entry_comes_after_the_directories_that_lead_to_it() -> None:
    tree = FileTree()
    tree.file("usr/lib/kadeploy/start", b"")
    tree.file("usr-local", b"")

    assert [entry.path for entry in tree.entries()] == [
        "usr",
        "usr/lib",
        "usr/lib/kadeploy",
        "usr/lib/kadeploy/start",
        "usr-local",
    ]


def test_a_directory_that_was_added_keeps_its_mode() -> None:
    tree = FileTree()
    tree.file("root/.ssh/authorized_keys", b"key")
    tree.directory("root/.ssh", 0o700)

    modes = {entry.path: stat.S_IMODE(entry.mode) for entry in tree.entries()}

    assert modes == {"root": 0o755, "root/.ssh": 0o700, "root/.ssh/authorized_keys": 0o644}


def test_the_later_of_two_entries_stays() -> None:
    tree = FileTree()
    tree.symlink("usr/bin/tar", "busybox")
    tree.file("/usr/bin/tar", b"the real one", 0o755)

    assert [entry.content for entry in tree.entries() if entry.path == "usr/bin/tar"] == [b"the real one"]


@pytest.mark.parametrize("path", ["", "/", "../etc/passwd", "usr/../../x"])
def test_a_path_outside_the_image_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="not a path inside an image"):
        FileTree().file(path, b"")


def test_a_copied_tree_keeps_links_and_executables_and_nothing_else_of_the_modes(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hosts").write_text("127.0.0.1 localhost\n")
    (tmp_path / "etc/hosts").chmod(0o600)
    (tmp_path / "init").write_text("#!/bin/sh\n")
    (tmp_path / "init").chmod(0o700)
    (tmp_path / "bin").symlink_to("usr/bin")
    tree = FileTree()

    tree.copy_tree(tmp_path)

    assert {entry.path: (entry.mode, entry.content) for entry in tree.entries()} == {
        "bin": (stat.S_IFLNK | 0o777, b"usr/bin"),
        "etc": (stat.S_IFDIR | 0o755, b""),
        "etc/hosts": (stat.S_IFREG | 0o644, b"127.0.0.1 localhost\n"),
        "init": (stat.S_IFREG | 0o755, b"#!/bin/sh\n"),
    }
