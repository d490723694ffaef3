"""Power through IPMI 2.0, by ipmitool: the management controllers of a cluster, with one account for all."""

from collections.abc import Sequence

from typing_extensions import override

from kadeploy_deployer.adapters.controller import Controller, Switch, check_password_file, controller_address
from kadeploy_deployer.adapters.power_commands import CommandPower
from kadeploy_deployer.domain.snapshot import NodeSnapshot, PowerDriverSnapshot
from kadeploy_deployer.domain.vocabulary import Firmware
from kadeploy_deployer.ports import PowerError

SHOWN_CHARACTERS = 200
WORDS = {Switch.ON: "power_on", Switch.OFF: "power_off", Switch.RESET: "hard_reboot"}


class IpmiController(Controller):
    """Runs ipmitool. The password is in a file that ipmitool reads: it stands in no argument list."""

    def __init__(self, commands: CommandPower) -> None:
        """`commands` runs programs within their bounds."""
        self._commands = commands

    @override
    async def is_on(self, node: NodeSnapshot, driver: PowerDriverSnapshot) -> bool:
        output = await self._run(node, driver, "power_status", ("chassis", "power", "status"))
        words = output.split()
        if not words or words[-1] not in {"on", "off"}:
            raise PowerError(
                f"power_status of {node.name} says neither on nor off: {output.strip()[:200] or 'nothing'}"
            )
        return words[-1] == "on"

    @override
    async def boot_network_next(self, node: NodeSnapshot, driver: PowerDriverSnapshot) -> None:
        options = ("options=efiboot",) if node.firmware is Firmware.UEFI else ()
        await self._run(node, driver, "network_next", ("chassis", "bootdev", "pxe", *options))

    @override
    async def switch(self, node: NodeSnapshot, driver: PowerDriverSnapshot, action: Switch) -> None:
        await self._run(node, driver, WORDS[action], ("chassis", "power", action.value))

    async def _run(self, node: NodeSnapshot, driver: PowerDriverSnapshot, word: str, words: Sequence[str]) -> str:
        check_password_file(node, word, driver.password_file)
        address, port = controller_address(node, word, driver.address)
        suite = ("-C", str(driver.cipher_suite)) if driver.cipher_suite else ()
        arguments = (
            *("ipmitool", "-I", "lanplus", "-H", address, *(("-p", port) if port else ())),
            *("-U", driver.user, "-f", driver.password_file, *suite),
        )
        return await self._commands.run(node, word, (*arguments, *words))
