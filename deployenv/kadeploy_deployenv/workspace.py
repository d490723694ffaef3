"""Keeps builds apart and remembered: a lock on the cache, digests of inputs, files that appear whole."""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kadeploy_deployenv.failure import BuildFailure

MANIFEST = "manifest.json"
_LOCK_SECONDS = 1800


@contextmanager
def locked(cache: Path) -> Iterator[None]:
    """Holds the cache for one builder at a time; waits for another one, but not for ever."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise BuildFailure(f"another build holds {cache} for more than {_LOCK_SECONDS} s") from None
                time.sleep(0.5)
        yield


def digest_files(folders: Iterable[Path]) -> str:
    """Returns a digest of the names and contents of files and of all files below folders."""
    digest = hashlib.sha256()
    for folder in folders:
        paths = sorted(folder.rglob("*")) if folder.is_dir() else [folder]
        for path in paths:
            if path.is_file() and "__pycache__" not in path.parts:
                name = path.relative_to(folder.parent).as_posix()
                content = path.read_bytes()
                digest.update(f"{name}\0{os.access(path, os.X_OK)}\0{len(content)}\0".encode())
                digest.update(content)
    return digest.hexdigest()


def write_whole(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Writes a file so that nobody ever sees a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    fresh.chmod(mode)
    fresh.replace(path)


def is_current(output: Path, inputs: str) -> bool:
    """Tells whether `output` was made from these inputs and all its files are still as they were."""
    try:
        manifest = read_manifest(output)
    except (FileNotFoundError, ValueError):
        return False
    return manifest.get("inputs") == inputs and all(
        (output / name).is_file() and sha256(output / name) == known["sha256"]
        for name, known in manifest["files"].items()
    )


def read_manifest(output: Path) -> dict[str, Any]:
    """Returns what `write_manifest` wrote."""
    manifest: dict[str, Any] = json.loads((output / MANIFEST).read_text())
    return manifest


def write_manifest(output: Path, *, inputs: str, files: Iterable[str], facts: Mapping[str, Any]) -> None:
    """Writes manifest.json, the last file of a build: what was made, from what."""
    described = {name: {"bytes": (output / name).stat().st_size, "sha256": sha256(output / name)} for name in files}
    manifest = {"inputs": inputs, "files": described, **facts}
    write_whole(output / MANIFEST, (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode())


def hand_over(*folders: Path) -> None:
    """Gives what a build under sudo made to the user who asked for it, so that the next build needs no root."""
    owner = os.environ.get("SUDO_UID")
    if os.geteuid() != 0 or owner is None:
        return
    group = int(os.environ.get("SUDO_GID", "-1"))
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, int(owner), group, follow_symlinks=False)


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
