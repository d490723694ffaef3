"""What a site adds to the environment."""

from pathlib import Path

import pytest

from kadeploy_deployenv.failure import BuildFailure
from kadeploy_deployenv.file_tree import FileTree
from kadeploy_deployenv.hook import read_hook


def test_a_hook_adds_files_scripts_packages_and_programs(tmp_path: Path) -> None:
    (tmp_path / "files/etc").mkdir(parents=True)
    (tmp_path / "files/etc/motd").write_text("hello\n")
    (tmp_path / "start.d").mkdir()
    (tmp_path / "start.d/10-say").write_text("#!/bin/sh\necho hello\n")
    (tmp_path / "packages").write_text("# what we need\nnvme-cli  # for discs\n\nhdparm\n")
    (tmp_path / "programs").write_text("nvme\n")
    hook = read_hook(tmp_path)
    tree = FileTree()
    hook.add_files(tree)
    modes = {entry.path: entry.mode & 0o777 for entry in tree.entries()}
    assert (hook.packages, hook.programs) == (("nvme-cli", "hdparm"), ("nvme",))
    assert modes["etc/motd"] == 0o644
    assert modes["usr/lib/kadeploy/start.d/10-say"] == 0o755


def test_without_a_hook_nothing_is_added() -> None:
    tree = FileTree()
    read_hook(None).add_files(tree)
    assert list(tree.entries()) == []


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("stard.d", "", r"stard\.d is none of files, packages, programs, start\.d"),
        ("packages", "good\nnot a name\n", r"packages, line 2: 'not a name' is no name"),
        ("start.d/10-x", "echo", r"10-x is no script: its first line has to begin with #!"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_name(tmp_path: Path, name: str, content: str, reason: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(content)
    with pytest.raises(BuildFailure, match=reason):
        read_hook(tmp_path)


def test_a_hook_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildFailure, match="there is no such directory"):
        read_hook(tmp_path / "none")
