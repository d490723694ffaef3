"""kadeploy-hardware disks|machine: prints JSON on one line."""

import json
import subprocess
import sys

from .disks import disks
from .machine import controller_address, machine

USAGE = 2
NOT_THERE = 127
"""As a shell says it: this system has not what it takes. Whoever asked goes on as without the program."""


def main() -> int:
    """Returns the exit status; one line on standard error says what went wrong."""
    if sys.argv[1:] not in (["disks"], ["machine"]):
        print("usage: kadeploy-hardware disks|machine", file=sys.stderr)
        return USAGE
    try:
        found: object = disks()
        if sys.argv[1] == "machine":
            found = {**machine(), "controller_address": controller_address(), "disks": found}
    except FileNotFoundError as error:
        print(f"kadeploy-hardware: {error}", file=sys.stderr)
        return NOT_THERE
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        print(f"kadeploy-hardware: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found))
    return 0
