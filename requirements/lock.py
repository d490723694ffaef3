"""Locks what our images and `make setup` install: every package with its version and the hashes of its files.

`make lock` runs it after each change of a dependency in pyproject.toml; it needs the package index. The files are
committed. `make lock UPGRADE=--upgrade` takes the newest versions that pyproject.toml allows.
"""

import hashlib
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PYPROJECT = HERE.parent / "pyproject.toml"
OLDEST_PYTHON = "3.11"
LOCK_SECONDS = 600
ROLES = ("inventory", "deployer", "bootctl", "cli")
# What hatchling wants for `pip install --editable` besides itself.
EDITABLE = "editables==0.5"


def requirements(pyproject: Mapping[str, Any]) -> dict[str, list[str]]:
    """Returns the requirements of each file, as pyproject.toml says them, sorted.

    Args:
        pyproject: the parsed file.
    """
    project, groups = pyproject["project"], pyproject["dependency-groups"]
    extras = project["optional-dependencies"]
    builds = [*pyproject["build-system"]["requires"], *groups["build"]]
    wanted = {role: [*project["dependencies"], *extras[role]] for role in ROLES}
    wanted["build"] = builds
    everything = (*project["dependencies"], *(each for extra in extras.values() for each in extra))
    wanted["development"] = [*everything, *builds, *groups["dev"], EDITABLE]
    return {name: sorted(set(lines)) for name, lines in wanted.items()}


def digest(lines: Sequence[str]) -> str:
    """Returns what a file notes of the requirements that it was made from."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def lock(name: str, lines: Sequence[str], options: Sequence[str]) -> None:
    """Writes the file of one role. Versions that are there already stay where the requirements allow them."""
    path = HERE / f"{name}.txt"
    command = [
        "uv", "pip", "compile", "-", "--output-file", str(path), "--quiet", "--universal", "--generate-hashes",
        "--python-version", OLDEST_PYTHON, "--no-header", "--no-annotate", "--no-emit-index-url", *options,
    ]  # fmt: skip
    text = "\n".join(lines)
    subprocess.run(command, input=text, text=True, timeout=LOCK_SECONDS, check=True, cwd=HERE.parent)
    locked = path.read_text(encoding="ascii")
    path.write_text(f"# Made by `make lock`.\n# requirements: {digest(lines)}\n{locked}", encoding="ascii")


def main() -> None:
    """Writes every file."""
    with PYPROJECT.open("rb") as file:
        wanted = requirements(tomllib.load(file))
    for name, lines in wanted.items():
        lock(name, lines, sys.argv[1:])


if __name__ == "__main__":
    main()
