"""Runs the programs that a build calls: an argument list, a bound in seconds, and one sentence when it fails."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from kadeploy_deployenv.failure import BuildFailure

# depmod and modprobe stand in sbin, which is not on everybody's PATH.
SEARCH_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/bin", "/bin"))


def run(
    command: Sequence[str],
    *,
    package: str,
    seconds: float = 120,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: str = "",
) -> str:
    """Returns what a program prints.

    Args:
        command: program and arguments.
        package: the Debian package that has the program, for the message when it is missing.
        seconds: how long it may take.
        cwd: where it runs; None: here.
        environment: variables besides those of this process.
        stdin: what it reads.

    Raises BuildFailure if it is missing, is too slow or fails.
    """
    program = Path(command[0]).name
    try:
        return subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, "PATH": SEARCH_PATH, **(environment or {})},
            input=stdin,
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds,
        ).stdout
    except FileNotFoundError:
        raise BuildFailure(f"{program} is not installed; install the Debian package {package}") from None
    except subprocess.TimeoutExpired:
        raise BuildFailure(f"{program} did not finish in {seconds:g} s; try again") from None
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.split()[-60:]) or f"exit status {error.returncode}"
        raise BuildFailure(f"{program} failed: {reason}") from error
