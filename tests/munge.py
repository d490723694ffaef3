"""A private MUNGE daemon for tests, without root."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.slurm import MUNGE_KEY_BYTES, SEARCH_PATH, START_SECONDS, daemon, until


@dataclass(frozen=True, slots=True, kw_only=True)
class Munge:
    """A daemon that runs, at its socket."""

    socket: Path
    key: Path

    def credential(self, payload: str, *options: str) -> str:
        """Returns a credential; options as those of munge."""
        done = subprocess.run(
            ["munge", f"--socket={self.socket}", *options],
            input=payload, capture_output=True, text=True, timeout=START_SECONDS, check=True,
        )  # fmt: skip
        return done.stdout.strip()


@contextmanager
def running_munge(home: Path, *, key: Path | None = None, ahead: int = 0) -> Iterator[Munge]:
    """Yields a daemon, and ends it.

    Args:
        home: takes its files.
        key: that it shares with another one; None for one of its own.
        ahead: by how many seconds its clock is wrong.
    """
    if shutil.which("munged", path=SEARCH_PATH) is None:
        raise RuntimeError("munged not found: install what lab/packages.txt names for Slurm")
    socket = home / "munge.socket"
    if key is None:
        key = home / "munge.key"
        key.write_bytes(os.urandom(MUNGE_KEY_BYTES))
        key.chmod(0o600)
    # The name of the log is that of the program.
    # faketime runs the daemon as a child of its own, which has to end with it.
    command = ["faketime", "-f", f"{ahead:+d}s", "setpriv", "--pdeathsig=KILL"] if ahead else []
    command += ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={socket}"]
    command += [f"--pid-file={home}/munge.pid", f"--seed-file={home}/munge.seed"]
    with daemon(command, home):
        assert until(socket.exists, START_SECONDS)
        yield Munge(socket=socket, key=key)
