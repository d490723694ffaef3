"""Finds the shared libraries that programs need, by asking the loader that will look for them on the node."""

import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from kadeploy_deployenv.failure import BuildFailure
from kadeploy_deployenv.packages import LOADER, library_path

# What the loader prints of a program: "libacl.so.1 => /…/libacl.so.1 (0x00007f…)", or "libacl.so.1 => not found".
_LINE = re.compile(r"^\s*(\S+) => (not found|\S+)", re.MULTILINE)
_MISSING = re.compile(r"(\S+): cannot open shared object file")
_ELF = b"\x7fELF\x02\x01"
_IS_DYNAMIC = (0, 2)  # what `--verify` ends with; 2: dynamic, but without an interpreter
_SECONDS = 60


def needed_libraries(programs: Mapping[str, bytes], root: Path) -> dict[str, Path]:
    """Returns the libraries of the packages below `root` that the programs need, directly or not.

    Args:
        programs: programs and libraries, by what they are called in messages. Anything else is skipped.
        root: the unpacked packages.

    Returns:
        Files below `root` by their path relative to it.

    Raises BuildFailure for a library that is in none of the packages: a program that cannot start is better found here
    than on a node.
    """
    found: dict[str, Path] = {}
    with tempfile.TemporaryDirectory(prefix="kadeploy-libraries-") as scratch:
        program = Path(scratch, "program")
        for name, content in programs.items():
            if not content.startswith(_ELF):
                continue
            program.write_bytes(content)
            if _loader(root, "--verify", program).returncode not in _IS_DYNAMIC:
                continue
            for library, path in _listed(name, program, root).items():
                if name.endswith(f"/{library}"):
                    continue
                if not path.is_relative_to(root):
                    raise _missing(name, library)
                found[path.relative_to(root).as_posix()] = path
    return found


def _listed(name: str, program: Path, root: Path) -> dict[str, Path]:
    done = _loader(root, "--list", program)
    if done.returncode:
        missing = _MISSING.search(done.stderr)
        raise _missing(name, missing[1] if missing else done.stderr.strip() or "a library")
    # The loader itself is listed too, by the path that stands in every program.
    return {library: Path(path) for library, path in _LINE.findall(done.stdout) if "ld-linux" not in library}


def _loader(root: Path, word: str, program: Path) -> "subprocess.CompletedProcess[str]":
    root = root.absolute()
    command = [str(root / LOADER), "--library-path", library_path(root), word, str(program)]
    return subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)


def _missing(program: str, library: str) -> BuildFailure:
    return BuildFailure(
        f"{program} needs {library}, which is in none of the packages; add its package to the recipe or to the hook"
    )
