"""The emulated BMC of one node: `ipmitool -I lanplus` on one side, the machine's power on the other.

One process per node, as each real machine has its own; it starts QEMU and is its parent.
"""

import sys
import time
from pathlib import Path
from typing import Any

import pyghmi.ipmi.private.session as ipmi_session
from pyghmi.ipmi.bmc import Bmc

from kadeploy_lab import plan
from kadeploy_lab.chassis import Chassis
from kadeploy_lab.machine import Machine, machine_spec
from kadeploy_lab.state import LabState

_PORT = 623
_LOOP_SECONDS = 5


class NodeBmc(Bmc):  # type: ignore[misc]  # pyghmi has no type hints
    """Answers IPMI's chassis commands for one machine."""

    def __init__(self, *, address: str, password: str, chassis: Chassis) -> None:
        # pyghmi wakes its own loop by a datagram to itself; by default it sends that to ::1, which a
        # socket bound to an IPv4 address cannot reach.
        ipmi_session.myself = address
        super().__init__({plan.BMC_USER: password}, port=_PORT, address=address)
        self._chassis = chassis
        self._was_on = False

    def get_power_state(self) -> str:
        """Answers `chassis power status`."""
        return "on" if self._chassis.is_on else "off"

    def control_chassis(self, request: dict[str, Any], session: Any) -> None:
        """Answers `chassis power on|off|cycle|reset|soft`."""
        code = self._chassis.control(request["data"][0], session)
        session.send_ipmi_response(code=code)

    def get_boot_device(self) -> str:
        """Answers `chassis bootparam get 5`."""
        return self._chassis.next_boot

    def set_boot_device(self, bootdevice: str) -> None:
        """`chassis bootdev`: what the next start tries first, once: `pxe` the network, `disk` the disk."""
        self._chassis.next_boot = bootdevice
        say(f"bootdev {bootdevice}")

    def serve(self) -> None:
        """Answers for as long as the process lives."""
        while True:
            ipmi_session.Session.wait_for_rsp(_LOOP_SECONDS)
            self._notice_power_changes()

    def _notice_power_changes(self) -> None:
        if self._was_on != self._chassis.is_on:
            self._was_on = self._chassis.is_on
            say(f"the machine is {self.get_power_state()}")


def say(what: str) -> None:
    """Writes a line into the BMC's log."""
    print(f"{time.strftime('%F %T')} {what}", flush=True)


def main(argv: list[str]) -> None:
    """Serves the BMC of node `argv[1]` of the lab in directory `argv[0]`."""
    directory, name = Path(argv[0]), argv[1]
    state = LabState.read(directory)
    index, node = next((index, node) for index, node in enumerate(state.nodes, start=1) if node.name == name)
    spec = machine_spec(node, index=index, memory_mib=state.memory_mib, accelerator=state.accelerator)
    machine = Machine(spec, log=node.serial_log.with_name("qemu.log"))
    password = state.bmc_password_file.read_text().strip()
    NodeBmc(address=node.bmc_address, password=password, chassis=Chassis(machine, say=say)).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
