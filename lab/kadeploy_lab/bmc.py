"""The emulated BMC of one node: `ipmitool -I lanplus` on one side, the machine's power on the other.

One process per node, as each real machine has its own; it starts QEMU and is its parent.
"""

import sys
import time
from pathlib import Path

import pyghmi.ipmi.private.session as ipmi_session
from pyghmi.ipmi.bmc import Bmc

from kadeploy_lab import plan
from kadeploy_lab.errors import LabError
from kadeploy_lab.machine import Machine, machine_spec
from kadeploy_lab.state import LabState

# IPMI completion codes.
_DONE = 0x00
_NOT_IN_THIS_STATE = 0xD5
_FAILED = 0xFF

_PORT = 623
_LOOP_SECONDS = 5


class NodeBmc(Bmc):  # type: ignore[misc]  # pyghmi has no type hints
    """Turns IPMI chassis commands into presses of the machine's power button."""

    def __init__(self, *, address: str, password: str, machine: Machine) -> None:
        # pyghmi wakes its own loop by a datagram to itself; by default it sends that to ::1, which a
        # socket bound to an IPv4 address cannot reach.
        ipmi_session.myself = address
        super().__init__({plan.BMC_USER: password}, port=_PORT, address=address)
        self._machine = machine
        self._next_boot = "default"
        self._was_on = False

    def get_power_state(self) -> str:
        """Answers `chassis power status`."""
        return "on" if self._machine.is_on else "off"

    def power_on(self) -> int:
        """`chassis power on`; a boot device that was set before is used for this one start."""
        if self._machine.is_on:
            return _DONE
        disk_first, self._next_boot = self._next_boot == "hd", "default"
        try:
            self._machine.on(disk_first=disk_first)
        except LabError as refusal:
            return self._failed("power on", refusal)
        return self._done("power on")

    def power_off(self) -> int:
        """`chassis power off`."""
        self._machine.off()
        return self._done("power off")

    def power_cycle(self) -> int:
        """`chassis power cycle`; a machine without power gets it."""
        self._machine.off()
        return self.power_on()

    def power_reset(self) -> int:
        """`chassis power reset`; like most BMCs, refuses when the machine is off."""
        if not self._machine.is_on:
            return _NOT_IN_THIS_STATE
        try:
            self._machine.reset()
        except LabError as refusal:
            return self._failed("power reset", refusal)
        return self._done("power reset")

    def power_shutdown(self) -> int:
        """`chassis power soft`."""
        if not self._machine.is_on:
            return _DONE
        try:
            self._machine.ask_to_shut_down()
        except LabError as refusal:
            return self._failed("power soft", refusal)
        return self._done("power soft")

    def get_boot_device(self) -> str:
        """Answers `chassis bootparam get 5`."""
        return self._next_boot

    def set_boot_device(self, bootdevice: str) -> None:
        """`chassis bootdev`: `disk` makes the next start skip the network, once."""
        self._next_boot = bootdevice
        self._done(f"bootdev {bootdevice}")

    def serve(self) -> None:
        """Answers for as long as the process lives."""
        while True:
            ipmi_session.Session.wait_for_rsp(_LOOP_SECONDS)
            self._notice_power_changes()

    def _notice_power_changes(self) -> None:
        if self._was_on != self._machine.is_on:
            self._was_on = self._machine.is_on
            self._done(f"the machine is {self.get_power_state()}")

    def _done(self, what: str) -> int:
        print(f"{time.strftime('%F %T')} {what}", flush=True)
        return _DONE

    def _failed(self, what: str, refusal: LabError) -> int:
        print(f"{time.strftime('%F %T')} {what} failed: {refusal}", flush=True)
        return _FAILED


def main(argv: list[str]) -> None:
    """Serves the BMC of node `argv[1]` of the lab in directory `argv[0]`."""
    directory, name = Path(argv[0]), argv[1]
    state = LabState.read(directory)
    index, node = next((index, node) for index, node in enumerate(state.nodes, start=1) if node.name == name)
    spec = machine_spec(node, index=index, memory_mib=state.memory_mib, accelerator=state.accelerator)
    password = state.bmc_password_file.read_text().strip()
    machine = Machine(spec, log=node.serial_log.with_name("qemu.log"))
    NodeBmc(address=node.bmc_address, password=password, machine=machine).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
