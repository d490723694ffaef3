"""A disk of a megabyte for one process: a tmpfs in a mount namespace of its own, which ends with the process."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SIZE = 1 << 20
STOP_SECONDS = 15


def may_mount() -> bool:
    """Tells whether this process may make mounts of its own."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, timeout=30, check=False).returncode == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallDisk:
    """The disk as the test reaches it from outside of the namespace."""

    process: "subprocess.Popen[str]"
    directory: Path

    @property
    def view(self) -> Path:
        """The directory as the process sees it."""
        return Path(f"/proc/{self.process.pid}/root{self.directory}")

    def fill(self) -> None:
        """Uses up every byte."""
        with (self.view / "filler").open("ab", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue

    def empty(self) -> None:
        """Gives the room back."""
        (self.view / "filler").unlink(missing_ok=True)


@contextmanager
def on_small_disk(command: Sequence[str], directory: Path, *, size: int = SIZE) -> Iterator[SmallDisk]:
    """Starts a command whose directory is a small disk, with a copy of what stands in the directory; ends it.

    Standard output and error come in one pipe.
    """
    script = (
        'cp -a "$0" "$0.before" && mount -t tmpfs -o "size=$1,mode=0755" small "$0" && '
        'cp -a "$0.before/." "$0" && rm -r "$0.before" && shift && exec "$@"'
    )
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script, str(directory), str(size), *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield SmallDisk(process=process, directory=directory)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
