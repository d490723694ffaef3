"""Fetches Debian packages with all that they depend on and unpacks them: by mmdebstrap, without root, installing none.

Everything is kept in a cache; what is there is not fetched again.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kadeploy_deployenv.apt import Apt
from kadeploy_deployenv.commands import run
from kadeploy_deployenv.failure import BuildFailure

LIBRARIES = "usr/lib/x86_64-linux-gnu"
# Debian 13's udev and others have libraries of their own here.
LIBRARY_FOLDERS = (LIBRARIES, f"{LIBRARIES}/systemd", "usr/lib64")
LOADER = f"{LIBRARIES}/ld-linux-x86-64.so.2"

_FETCH_SECONDS = 1800
_VERSIONS = "versions.json"
_CHECKOUT = Path(__file__).resolve().parents[2]
# A Debian package of this builder brings the wheels along, so that no pip and no package index is needed.
_BROUGHT_WHEELS = Path(__file__).parent / "wheels"
# Debian 12's packages still have files in /bin, /sbin and /lib; with these links all is below /usr, as in Debian 13.
_MERGE_USR = 'cd "$1" && mkdir -p usr/bin usr/sbin usr/lib usr/lib64 && ln -s usr/bin usr/sbin usr/lib usr/lib64 .'
# The packages' files are still there when this hook runs; their names tell the versions.
_LISTING = "debs.txt"
_LIST_DEBS = f'ls "$1/var/cache/apt/archives" >"$1/{_LISTING}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSet:
    """Packages to unpack into one folder.

    Attributes:
        names: the packages; what they depend on comes with them.
        suite: "bookworm" or "trixie".
        components: of the archive, such as "non-free-firmware".
        mirrors: what mmdebstrap takes for a mirror (a URL, a line of sources.list, a file); none: this machine's own
            sources of the suite, or else deb.debian.org.
    """

    names: tuple[str, ...]
    suite: str
    components: tuple[str, ...] = ("main",)
    mirrors: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """What names the set in the cache."""
        parts = (*sorted(self.names), self.suite, *self.components, *self.mirrors)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """Packages unpacked into one folder, and their versions by name."""

    root: Path
    versions: dict[str, str]


def unpack(packages: PackageSet, *, kind: str, cache: Path) -> Unpacked:
    """Returns the packages unpacked, fetching them if the cache does not hold them; the caller holds its lock.

    `kind` names the use of the set: an older set of the same kind makes room for it.
    """
    folder = cache.absolute() / f"packages-{kind}-{packages.digest}"
    # The versions are written last: a folder without them is left over from a run that was killed.
    if not (folder / _VERSIONS).exists():
        for old in cache.glob(f"packages-{kind}-*"):
            shutil.rmtree(old)
        folder.mkdir(parents=True)
        versions = _mmdebstrap(packages, folder / "root", cache)
        (folder / _VERSIONS).write_text(json.dumps(versions, indent=2, sort_keys=True) + "\n")
    return Unpacked(root=folder / "root", versions=json.loads((folder / _VERSIONS).read_text()))


def _mmdebstrap(packages: PackageSet, root: Path, cache: Path) -> dict[str, str]:
    sources = packages.mirrors or _own_sources(packages, cache)
    print(f"fetching {len(packages.names)} Debian packages and what they depend on", flush=True)
    run(
        [
            "mmdebstrap",
            # Nothing is configured, so nothing needs root; owners are not kept in images.
            f"--mode={'root' if os.geteuid() == 0 else 'chrootless'}",
            "--variant=extract", "--format=directory",
            f"--components={' '.join(packages.components)}",
            f"--include={','.join(packages.names)}",
            f"--setup-hook={_MERGE_USR}",
            f"--extract-hook={_LIST_DEBS}",
            packages.suite, str(root), *sources,
        ],
        package="mmdebstrap",
        seconds=_FETCH_SECONDS,
    )  # fmt: skip
    names = (root / _LISTING).read_text().split()
    return deb_versions(names)


def deb_versions(names: Sequence[str]) -> dict[str, str]:
    """Returns the versions of packages by name, from the names of their files; other files are left out."""
    versions = {}
    for name in names:
        if name.endswith(".deb"):
            package, version, _ = name.split("_")
            versions[package] = version.replace("%3a", ":")
    return versions


def _own_sources(packages: PackageSet, cache: Path) -> tuple[str, ...]:
    apt = Apt(cache / "apt")
    apt.update()
    lines = apt.known_sources(packages.suite)
    # "deb URL SUITE COMPONENT": one line a component. Without any, mmdebstrap knows Debian's own servers.
    places = dict.fromkeys(tuple(line.split()[1:3]) for line in lines)
    components = " ".join(packages.components)
    return tuple(f"deb {url} {release} {components}" for url, release in places)


def run_unpacked(root: Path, program: str, *arguments: str, environment: Mapping[str, str], stdin: str = "") -> str:
    """Runs a program of unpacked packages with their own loader and libraries; returns what it prints."""
    return run(
        [str(root / LOADER), "--library-path", library_path(root), str(root / program), *arguments],
        package="libc6",
        cwd=root,
        environment=environment,
        stdin=stdin,
    )


def library_path(root: Path) -> str:
    """Returns where the unpacked packages have their libraries, as the loader takes it."""
    return ":".join(str(root / folder) for folder in LIBRARY_FOLDERS)


def python_wheel(requirement: str, sha256: str, *, version: str, cache: Path, brought: Path = _BROUGHT_WHEELS) -> Path:
    """Returns a wheel for the nodes' Python on amd64, checked against its digest; fetched by pip if it is not there.

    Args:
        requirement: such as "blake3==1.0".
        sha256: the digest of the wheel's file.
        version: of the nodes' Python, such as "3.11".
        cache: keeps what is fetched.
        brought: the folder of the wheels that came with this builder.
    """
    folder = cache.absolute() / f"wheel-{sha256[:16]}"
    if found := _wheel_with(sha256, (brought, folder)):
        return found
    folder.mkdir(parents=True, exist_ok=True)
    print(f"fetching {requirement}", flush=True)
    run(
        [
            *_pip(), "download", "--quiet", "--no-deps", "--only-binary=:all:",
            f"--python-version={version}", "--platform=manylinux_2_17_x86_64", "--dest", str(folder), requirement,
        ],
        package="python3-pip",
        seconds=_FETCH_SECONDS,
        cwd=folder,
    )  # fmt: skip
    if found := _wheel_with(sha256, (folder,)):
        return found
    raise BuildFailure(f"the wheel of {requirement} is not the one that was pinned; check its digest")


def _wheel_with(sha256: str, folders: Iterable[Path]) -> Path | None:
    for wheel in (wheel for folder in folders for wheel in folder.glob("*.whl")):
        if hashlib.sha256(wheel.read_bytes()).hexdigest() == sha256:
            return wheel
    return None


def _pip() -> list[str]:
    # Debian's Python has no pip of its own; the project's virtual environment has.
    for python in (sys.executable, str(_CHECKOUT / ".venv/bin/python")):
        probe = [python, "-c", "import pip"]
        if Path(python).exists() and not subprocess.run(probe, capture_output=True, check=False).returncode:
            return [python, "-m", "pip"]
    raise BuildFailure("pip is missing; install the Debian package python3-pip")
