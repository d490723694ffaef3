"""Chooses what runs the guests: KVM where it truly works, software emulation elsewhere.

A /dev/kvm that opens proves nothing: inside another virtual machine it may abort at the first guest
instruction, or run slower than emulation. So the firmware of a real machine is started on it, and KVM is
taken only when that firmware comes as far as its network driver within a few seconds.
"""

import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from kadeploy_lab.commands import find_program
from kadeploy_lab.errors import LabError

# Emulation itself gets there in 2 s on a modest machine; KVM that needs longer is of no use.
_PROBE_SECONDS = 5.0
_MILESTONE = b"initialising devices...ok"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """What runs the guests, and why it was chosen."""

    name: str
    reason: str

    @property
    def arguments(self) -> tuple[str, ...]:
        """Its part of the QEMU command line."""
        if self.name == "kvm":
            return ("-accel", "kvm", "-cpu", "host")
        # With the default buffer, a guest that reboots in place runs at half speed.
        return ("-accel", "tcg,thread=multi,tb-size=64", "-cpu", "max")


def choose_accelerator(wanted: str, *, cache: Path, device: Path = Path("/dev/kvm")) -> Accelerator:
    """Returns the accelerator that was asked for (`kvm`, `tcg`), or for `auto` the one that works."""
    if wanted in ("kvm", "tcg"):
        return Accelerator(name=wanted, reason="asked for by LAB_ACCEL")
    if wanted != "auto":
        raise LabError(f"LAB_ACCEL is '{wanted}': it can be auto, kvm or tcg.")
    if not device.exists():
        return Accelerator(name="tcg", reason=f"there is no {device}")
    if not os.access(device, os.R_OK | os.W_OK):
        return Accelerator(name="tcg", reason=f"{device} cannot be opened")
    return _remembered(cache) or _remember(cache, _probe())


def _probe() -> Accelerator:
    """Boots a machine without disk or network on KVM and watches its serial port."""
    with tempfile.TemporaryDirectory(prefix="kalab-kvm-") as scratch:
        serial = Path(scratch) / "serial.log"
        argv = [
            find_program("qemu-system-x86_64"),
            *("-nodefaults", "-machine", "pc,graphics=off", "-m", "128", "-display", "none"),
            *Accelerator(name="kvm", reason="under test").arguments,
            *("-netdev", "hubport,id=net0,hubid=0"),
            *("-device", "virtio-net-pci,netdev=net0,bootindex=1"),
            *("-serial", f"file:{serial}"),
        ]
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                return _watch(process, serial)
            finally:
                process.kill()


def _watch(process: "subprocess.Popen[bytes]", serial: Path) -> Accelerator:
    deadline = time.monotonic() + _PROBE_SECONDS
    while time.monotonic() < deadline:
        if serial.exists() and _MILESTONE in serial.read_bytes():
            return Accelerator(name="kvm", reason="it boots a machine here")
        if process.poll() is not None:
            return Accelerator(name="tcg", reason="/dev/kvm is there, but QEMU dies on it")
        time.sleep(0.1)
    reason = f"/dev/kvm is there, but no firmware starts on it within {_PROBE_SECONDS:g} s"
    return Accelerator(name="tcg", reason=reason)


def _remembered(cache: Path) -> Accelerator | None:
    """The verdict of an earlier probe, as long as the host has not rebooted since."""
    try:
        verdict = json.loads(cache.read_text())
        if verdict["boot_id"] != _BOOT_ID.read_text().strip():
            return None
        return Accelerator(name=verdict["name"], reason=verdict["reason"])
    except (FileNotFoundError, ValueError, KeyError):
        return None  # nothing there, or written by another version: probe anew


def _remember(cache: Path, accelerator: Accelerator) -> Accelerator:
    verdict = {
        "name": accelerator.name,
        "reason": accelerator.reason,
        "boot_id": _BOOT_ID.read_text().strip(),
    }
    cache.write_text(json.dumps(verdict) + "\n")
    return accelerator
