"""What a site adds to the environment without a change of its source: files, scripts, packages, programs.

DIR/files/      copied over the environment's own files, below /
DIR/start.d/    scripts that run on the node, in the order of their names, when it has its address
DIR/packages    names of Debian packages, one a line; # begins a comment
DIR/programs    names of programs from these packages; the libraries that they need come by themselves
"""

import re
from dataclasses import dataclass
from pathlib import Path

from kadeploy_deployenv.failure import BuildFailure
from kadeploy_deployenv.file_tree import FileTree

START = "usr/lib/kadeploy/start.d"
_KNOWN = frozenset({"files", "start.d", "packages", "programs"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """What a site adds. `directory` is None for a site that adds nothing."""

    directory: Path | None = None
    packages: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()

    def add_files(self, tree: FileTree) -> None:
        """Adds the files and the scripts."""
        if self.directory is None:
            return
        if (self.directory / "files").is_dir():
            tree.copy_tree(self.directory / "files")
        for script in sorted((self.directory / "start.d").glob("*")):
            tree.file(f"{START}/{script.name}", script.read_bytes(), 0o755)


def read_hook(directory: Path | None) -> Hook:
    """Returns what a directory adds. Raises BuildFailure for one that is not there, or holds what is not known."""
    if directory is None:
        return Hook()
    if not directory.is_dir():
        raise BuildFailure(f"--hook {directory}: there is no such directory")
    for path in sorted(directory.iterdir()):
        if path.name not in _KNOWN:
            raise BuildFailure(f"--hook: {path} is none of {', '.join(sorted(_KNOWN))}")
    for script in sorted((directory / "start.d").glob("*")):
        if not script.is_file() or not script.read_bytes().startswith(b"#!"):
            raise BuildFailure(f"--hook: {script} is no script: its first line has to begin with #!")
    return Hook(directory=directory, packages=_names(directory / "packages"), programs=_names(directory / "programs"))


def _names(path: Path) -> tuple[str, ...]:
    if not path.exists():
        return ()
    names = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        name = line.split("#", 1)[0].strip()
        if name and not _NAME.fullmatch(name):
            raise BuildFailure(f"--hook: {path}, line {number}: {name!r} is no name")
        if name:
            names.append(name)
    return tuple(names)
