"""Locks what our images, packages and `make setup` install: every package with its version and the hashes of its files.

The distributions say in their pyproject.toml which releases of a library fit; these files, which one is taken.
`make lock` runs it after each change of a dependency; it needs the package index. The files are committed.
`make lock UPGRADE=--upgrade` takes the newest versions that the distributions allow.
"""

import hashlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CHECKOUT = HERE.parent
OLDEST_PYTHON = "3.11"
LOCK_SECONDS = 600
# What a host installs, by the name of its file; each file has what the distribution needs, through ours that it needs.
ROLES = ("inventory", "deployer", "bootctl", "client", "deployenv", "web")
BUILD, DEVELOPMENT = "build", "development"
OURS = "kadeploy-"
# What hatchling wants for `pip install --editable` besides itself.
EDITABLE = "editables==0.5"

Projects = Mapping[str, Mapping[str, Any]]


def read_projects() -> dict[str, dict[str, Any]]:
    """Returns the parsed pyproject.toml of each distribution of the checkout, by its name."""
    files = sorted(
        file for depth in ("*", "services/*", "clients/*") for file in CHECKOUT.glob(f"{depth}/pyproject.toml")
    )
    parsed = [tomllib.loads(file.read_text(encoding="utf-8")) for file in files]
    return {each["project"]["name"]: each for each in parsed}


def read_groups() -> dict[str, list[str]]:
    """Returns the dependency groups of the checkout's own pyproject.toml."""
    groups: dict[str, list[str]] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["dependency-groups"]
    return groups


def libraries(projects: Projects, name: str) -> Iterator[str]:
    """Yields the requirements of a distribution and of ours that it needs, as their files say them."""
    for requirement in projects[name]["project"].get("dependencies", ()):
        if requirement.startswith(OURS):
            yield from libraries(projects, re.split(r"[^\w-]", requirement)[0])
        else:
            yield requirement


def requirements(projects: Projects, groups: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Returns the requirements of each file, sorted; the one for development first, which has those of all others."""
    builds = [line for each in projects.values() for line in each["build-system"]["requires"]]
    development = [line for name in projects for line in libraries(projects, name)]
    development += [*builds, *(line for lines in groups.values() for line in lines), EDITABLE]
    files = {DEVELOPMENT: development, BUILD: builds}
    files |= {role: list(libraries(projects, f"{OURS}{role}")) for role in ROLES}
    return {name: sorted(set(lines)) for name, lines in files.items()}


def digest(lines: Sequence[str]) -> str:
    """Returns what a file notes of the requirements that it was made from."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def lock(name: str, lines: Sequence[str], options: Sequence[str]) -> None:
    """Writes one file. Versions that are there already stay where the requirements allow them."""
    path = HERE / f"{name}.txt"
    command = [
        "uv", "pip", "compile", "-", "--output-file", str(path), "--quiet", "--universal", "--generate-hashes",
        "--python-version", OLDEST_PYTHON, "--no-header", "--no-annotate", "--no-emit-index-url", *options,
    ]  # fmt: skip
    text = "\n".join(lines)
    subprocess.run(command, input=text, text=True, timeout=LOCK_SECONDS, check=True, cwd=CHECKOUT)
    locked = path.read_text(encoding="ascii")
    path.write_text(f"# Made by `make lock`.\n# requirements: {digest(lines)}\n{locked}", encoding="ascii")


def main() -> None:
    """Writes every file, that for development first: sites get the versions that the tests ran with."""
    same = ["--constraint", str(HERE / f"{DEVELOPMENT}.txt")]
    for name, lines in requirements(read_projects(), read_groups()).items():
        lock(name, lines, sys.argv[1:] if name == DEVELOPMENT else [*sys.argv[1:], *same])


if __name__ == "__main__":
    main()
