"""Builds the distributions of a clean clone, once for all processes of a test run."""

import fcntl
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).parents[3]
BUILD_SECONDS = 300.0
# In the virtual environment that the tests run in.
UV = Path(sys.executable).with_name("uv")
PROJECTS = [*CHECKOUT.glob("*/pyproject.toml"), *CHECKOUT.glob("services/*/pyproject.toml")]
# Relative to the checkout; the lab is in no release.
FOLDERS = sorted(str(path.parent.relative_to(CHECKOUT)) for path in PROJECTS if path.parent.name != "lab")
DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What was built.

    Attributes:
        clone: the clean clone.
        sdists: made from the clone.
        direct: wheels made from the clone.
        wheels: wheels made from the sdists.
    """

    clone: Path
    sdists: Path
    direct: Path
    wheels: Path

    def wheel(self, name: str) -> Path:
        """Returns the wheel of a distribution, made from its sdist."""
        (found,) = self.wheels.glob(f"{name.replace('-', '_')}-*.whl")
        return found

    def closure(self, name: str) -> list[Path]:
        """Returns the wheel of a distribution and those of ours that it needs."""
        wheel = self.wheel(name)
        ours = [one for one in requirements(wheel) if one.startswith("kadeploy-")]
        return list(dict.fromkeys([wheel, *(each for one in ours for each in self.closure(one))]))


def requirements(wheel: Path) -> list[str]:
    """Returns the names that the metadata of a wheel requires."""
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        fields = Parser().parsestr(archive.read(metadata).decode())
    return [canonicalize_name(Requirement(line).name) for line in fields.get_all("Requires-Dist", [])]


def project(folder: str) -> dict[str, Any]:
    """Returns what the distribution of a folder says of itself."""
    found: dict[str, Any] = tomllib.loads((CHECKOUT / folder / "pyproject.toml").read_text())["project"]
    return found


def run(*command: str | Path, timeout: float = BUILD_SECONDS) -> str:
    """Returns what a command prints; fails with its last words."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
    )
    words = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
    assert done.returncode == 0, f"{' '.join(map(str, command))} ended with status {done.returncode}:\n{words}"
    return done.stdout


def build(directory: Path) -> Built:
    """Returns the distributions in a directory; the first process to ask builds them, others wait for it."""
    built = Built(
        clone=directory / "clone",
        sdists=directory / "sdists",
        direct=directory / "direct",
        wheels=directory / "wheels",
    )
    directory.mkdir(exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / DONE).exists():
            _build(built)
            (directory / DONE).touch()
    return built


def _build(built: Built) -> None:
    run("git", "clone", "--quiet", "--no-local", "--depth", "1", f"file://{CHECKOUT}", built.clone)
    for folder in FOLDERS:
        run(UV, "build", "--quiet", "--sdist", "--out-dir", built.sdists, built.clone / folder)
        run(UV, "build", "--quiet", "--wheel", "--out-dir", built.direct, built.clone / folder)
    for sdist in sorted(built.sdists.glob("*.tar.gz")):
        run(UV, "build", "--quiet", "--wheel", "--out-dir", built.wheels, sdist)
