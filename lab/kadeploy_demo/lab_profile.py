"""The cluster profile of a lab: how its machines are reached from outside, and how long they may take."""

import json
import sys
from collections.abc import Sequence

from kadeploy_lab import Lab


def _ipmitool(lab: Lab, *words: str) -> list[str]:
    return [
        *("ipmitool", "-I", "lanplus", "-C", "3", "-H", "{bmc}"),
        *("-U", lab.bmc_user, "-f", str(lab.bmc_password_file), *words),
    ]


def _console(lab: Lab) -> list[str]:
    directory = lab.directory
    # -P: the directory in which the deployer happens to run must not hide a package of that name.
    program = [sys.executable, "-P", "-m", "kadeploy_lab", "--root", str(directory.parent)]
    return [*program, "console", "--name", directory.name, "{name}"]


def lab_profile(lab: Lab, *, device: str = "vda") -> str:
    """Returns the profile as YAML text (its JSON subset). Emulated machines are slow, so the bounds are wide.

    `device` is what the target's disk is called on the nodes.
    """
    commands: dict[str, Sequence[str]] = {
        "hard_reboot": _ipmitool(lab, "chassis", "power", "reset"),
        "very_hard_reboot": _ipmitool(lab, "chassis", "power", "cycle"),
        "power_on": _ipmitool(lab, "chassis", "power", "on"),
        "power_off": _ipmitool(lab, "chassis", "power", "off"),
        "power_status": _ipmitool(lab, "chassis", "power", "status"),
        "console": _console(lab),
    }
    profile = {
        "first_check_timeout": 300,
        "last_check_timeout": 400,
        "commands": commands,
        "default_device": device,
        "default_partition": 3,
        "kernel_arguments": "console=ttyS0,115200 net.ifnames=0",
    }
    return json.dumps(profile, indent=2) + "\n"
