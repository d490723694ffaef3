"""Fetches Debian packages with this machine's apt and unpacks them, without root and without installing any.

Everything is kept in a cache; what is there is not fetched again.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deployenv.apt import Apt
from deployenv.failure import BuildFailure

_FETCH_SECONDS = 900
_UNPACK_SECONDS = 120
_VERSIONS = "versions.json"
_REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """Packages unpacked into one folder, and their versions by name."""

    root: Path
    versions: dict[str, str]


def unpack(names: Sequence[str], *, kernel: str, cache: Path) -> Unpacked:
    """Returns the named packages unpacked into one folder, fetching them if the cache does not hold them.

    `kernel` is a package such as linux-image-cloud-amd64, which stands for the newest kernel of its kind.
    """
    digest = hashlib.sha256("\n".join(sorted([*names, kernel])).encode()).hexdigest()[:16]
    folder = cache.absolute() / f"packages-{digest}"
    root = folder / "root"
    # The versions are written last: a folder without them is left over from a run that was killed.
    if not (folder / _VERSIONS).exists():
        for old in cache.glob("packages-*"):
            shutil.rmtree(old)
        root.mkdir(parents=True)
        debs = folder / "debs"
        debs.mkdir()
        apt = Apt(cache / "apt")
        apt.update()
        apt.download([*names, newest_kernel(apt.dependencies(kernel))], debs)
        versions = {}
        for deb in sorted(debs.glob("*.deb")):
            name, version, _ = deb.name.split("_")
            versions[name] = version.replace("%3a", ":")
            _run(["dpkg-deb", "--extract", str(deb), str(root)], cwd=debs, seconds=_UNPACK_SECONDS)
        shutil.rmtree(debs)
        (folder / _VERSIONS).write_text(json.dumps(versions, indent=2, sort_keys=True) + "\n")
    return Unpacked(root=root, versions=json.loads((folder / _VERSIONS).read_text()))


def run_unpacked(root: Path, program: str, *arguments: str, environment: dict[str, str]) -> str:
    """Runs a program of unpacked packages with their own loader and libraries; returns what it prints."""
    folders = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")
    return _run(
        [
            str(root / "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
            "--library-path",
            ":".join(str(root / folder) for folder in folders),
            str(root / program),
            *arguments,
        ],
        cwd=root,
        seconds=_UNPACK_SECONDS,
        environment=environment,
    )


def newest_kernel(dependencies: str) -> str:
    """Returns the package of the kernel itself, out of what apt-cache says of the package that stands for it."""
    names: list[str] = re.findall(r"Depends: (linux-image-[0-9]\S+)", dependencies)
    if not names:
        raise BuildFailure("apt knows no kernel for this recipe; build on Debian 12")
    return names[0]


def python_wheel(requirement: str, sha256: str, *, cache: Path) -> Path:
    """Returns a wheel for the nodes' Python (3.11 on amd64), fetched by pip and checked against its digest."""
    folder = cache / f"wheel-{sha256[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    for wheel in folder.glob("*.whl"):
        if hashlib.sha256(wheel.read_bytes()).hexdigest() == sha256:
            return wheel
        wheel.unlink()
    print(f"fetching {requirement}", flush=True)
    _run(
        [
            *_pip(), "download", "--quiet", "--no-deps", "--only-binary=:all:",
            "--python-version=3.11", "--platform=manylinux_2_17_x86_64", "--dest", str(folder),
            requirement,
        ],
        cwd=folder,
        seconds=_FETCH_SECONDS,
    )  # fmt: skip
    for wheel in folder.glob("*.whl"):
        if hashlib.sha256(wheel.read_bytes()).hexdigest() == sha256:
            return wheel
    raise BuildFailure(f"the wheel of {requirement} is not the one that was pinned; check its digest")


def _pip() -> list[str]:
    # Debian's Python has no pip of its own; the project's virtual environment has.
    for python in (sys.executable, str(_REPOSITORY / ".venv/bin/python")):
        probe = [python, "-c", "import pip"]
        if Path(python).exists() and not subprocess.run(probe, capture_output=True, check=False).returncode:
            return [python, "-m", "pip"]
    raise BuildFailure("pip is missing; run make setup, or install the Debian package python3-pip")


def _run(command: list[str], *, cwd: Path, seconds: int, environment: dict[str, str] | None = None) -> str:
    program = Path(command[0]).name
    try:
        return subprocess.run(
            command,
            cwd=cwd,
            env=None if environment is None else {**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds,
        ).stdout
    except FileNotFoundError:
        raise BuildFailure(f"{program} is not installed; build on Debian 12") from None
    except subprocess.TimeoutExpired:
        raise BuildFailure(f"{program} did not finish in {seconds} s; try again") from None
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.split()) or f"exit status {error.returncode}"
        raise BuildFailure(f"{program} failed: {reason}") from error
