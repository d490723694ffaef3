"""A virtual machine: the QEMU command line of a node, and its power button.

Only the node's BMC holds the button; everybody else asks the BMC, as on a real site.
"""

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from kadeploy_lab import plan, qmp
from kadeploy_lab.accelerator import Accelerator
from kadeploy_lab.commands import find_program
from kadeploy_lab.errors import LabError
from kadeploy_lab.hardware import boot_indexes, card_arguments, disk_arguments
from kadeploy_lab.plan import LabNode

# Debian's package ovmf; every machine has a copy of the variables for itself.
UEFI_CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
UEFI_VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
_START_SECONDS = 0.8
_END_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSpec:
    """What the command line of one machine is made of."""

    node: LabNode
    tap: str
    memory_mib: int
    accelerator: Accelerator

    @property
    def qmp_socket(self) -> Path:
        """QEMU's control socket."""
        return self.node.serial_socket.with_suffix(".qmp")

    @property
    def pid_file(self) -> Path:
        """Where QEMU writes its process number."""
        return self.node.serial_socket.with_suffix(".pid")


def machine_argv(spec: MachineSpec, *, first: str = "", swapped: bool = False) -> list[str]:
    """The QEMU command line of a node.

    Args:
        spec: what it is made of.
        first: what this one start tries before all else ("network", "disk").
        swapped: this start finds the disks in the other order.
    """
    node = spec.node
    uefi = node.firmware == plan.UEFI
    kind = node.hardware.machine or ("q35" if uefi else "pc")
    indexes = boot_indexes(node.hardware, first=first)
    return [
        "qemu-system-x86_64",
        *("-name", node.name),
        *("-uuid", node.uuid),
        "-nodefaults",
        # Without graphics the firmware talks on the serial port, so the log tells the PXE part too.
        *("-machine", f"{kind},graphics=off"),
        *(_uefi(node) if uefi else ()),
        *spec.accelerator.arguments,
        *("-m", str(spec.memory_mib)),
        *("-smp", str(node.hardware.processors)),
        *("-display", "none"),
        *card_arguments(node.hardware, tap=spec.tap, mac=node.mac, indexes=indexes),
        *disk_arguments(
            node.hardware,
            [str(disk) for disk in node.disks],
            on_q35=kind == "q35",
            indexes=indexes,
            swapped=swapped,
        ),
        *("-device", "virtio-rng-pci"),
        *(
            "-chardev",
            f"socket,id=serial0,path={node.serial_socket},server=on,wait=off,logfile={node.serial_log},logappend=on",
        ),
        *("-serial", "chardev:serial0"),
        *("-qmp", f"unix:{spec.qmp_socket},server=on,wait=off"),
        *("-pidfile", str(spec.pid_file)),
    ]


def _uefi(node: LabNode) -> list[str]:
    return [
        *("-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={UEFI_CODE}"),
        *("-drive", f"if=pflash,format=raw,unit=1,file={node.variables}"),
    ]


class Machine:
    """The power button of one machine."""

    def __init__(self, spec: MachineSpec, log: Path) -> None:
        self._spec = spec
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    @property
    def is_on(self) -> bool:
        """Whether the machine has power."""
        return self._process is not None and self._process.poll() is None

    def on(self, *, first: str = "") -> None:
        """Switches the machine on; nothing happens to one that is on. `first`: what this start tries first."""
        if self.is_on:
            return
        swapped = self._spec.node.hardware.disks_swap and self._starts % 2 == 1
        self._starts += 1
        argv = machine_argv(self._spec, first=first, swapped=swapped)
        self._spec.pid_file.unlink(missing_ok=True)
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [find_program(argv[0]), *argv[1:]],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._wait_for_start(self._process)
        if first:
            # The firmware was told at the start; what the guest does to reboot itself is another start.
            qmp.execute(self._spec.qmp_socket, *self._boot_order())

    def _wait_for_start(self, process: "subprocess.Popen[bytes]") -> None:
        """QEMU writes its pid file when it has everything it needs; ipmitool waits that long."""
        deadline = time.monotonic() + _START_SECONDS
        while not self._spec.pid_file.exists() and time.monotonic() < deadline:
            if (status := process.poll()) is not None:
                raise LabError(f"QEMU ended at once with status {status}: see {self._log}.")
            time.sleep(0.02)

    def off(self) -> None:
        """Takes the power away; nothing happens to a machine that is off."""
        if self._process is None:
            return
        # What the guest has written is in the host's page cache already: as when a plug is pulled.
        self._process.kill()
        self._process.wait(timeout=_END_SECONDS)
        self._process = None

    def reset(self, *, first: str = "") -> None:
        """Presses the reset button; `first`: what this start tries first."""
        reset = qmp.Command(name="system_reset", until="RESET")
        if first:
            qmp.execute(self._spec.qmp_socket, *self._boot_order(first=first), reset, *self._boot_order())
        else:
            qmp.execute(self._spec.qmp_socket, reset)

    def _boot_order(self, *, first: str = "") -> list[qmp.Command]:
        """What tells the firmware of the next start in which order to boot. No two devices may have one place."""
        indexes = boot_indexes(self._spec.node.hardware, first=first)
        return [
            qmp.Command(
                name="qom-set",
                arguments={"path": f"/machine/peripheral/{device}", "property": "bootindex", "value": index},
            )
            for device, index in indexes.items()
        ]

    def ask_to_shut_down(self) -> None:
        """Presses the power button shortly: a running system shuts itself down, nothing else does."""
        qmp.execute(self._spec.qmp_socket, qmp.Command(name="system_powerdown"))


def machine_spec(node: LabNode, *, index: int, memory_mib: int, accelerator: Accelerator) -> MachineSpec:
    """The spec of machine number `index` of a lab."""
    return MachineSpec(node=node, tap=plan.tap(index), memory_mib=memory_mib, accelerator=accelerator)
