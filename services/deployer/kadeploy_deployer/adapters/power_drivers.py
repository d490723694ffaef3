"""Power by a cluster's driver, where neither the node nor its cluster has a command template for what is to be done.

A controller's word is not taken for the deed: after on and off its status is asked for until it says the same.
"""

import asyncio
from collections.abc import Mapping

from typing_extensions import override

from kadeploy_deployer.adapters.controller import Controller, Switch
from kadeploy_deployer.adapters.power_commands import CommandPower
from kadeploy_deployer.domain.snapshot import NodeSnapshot, PowerDriverSnapshot
from kadeploy_deployer.domain.states import RebootLevel
from kadeploy_deployer.domain.vocabulary import PowerDriverKind
from kadeploy_deployer.engine.fence import pass_fence
from kadeploy_deployer.ports import Power, PowerError

CONFIRM_SECONDS = 40.0
CONFIRM_PAUSE = 1.0
OFF_SECONDS = 3.0


class DrivenPower(Power):
    """Command templates first, then the cluster's driver."""

    def __init__(
        self,
        commands: CommandPower,
        controllers: Mapping[PowerDriverKind, Controller],
        *,
        confirm_seconds: float = CONFIRM_SECONDS,
        off_seconds: float = OFF_SECONDS,
    ) -> None:
        """Takes the ways to reach nodes.

        Args:
            commands: runs command templates.
            controllers: by the language of the driver.
            confirm_seconds: how long a controller may take to do what it has agreed to.
            off_seconds: without power in a power cycle.
        """
        self._commands = commands
        self._controllers = controllers
        self._confirm_seconds = confirm_seconds
        self._off_seconds = off_seconds

    @override
    async def is_on(self, node: NodeSnapshot) -> bool | None:
        driver = node.power_driver
        if driver is None or node.commands.power_status:
            return await self._commands.is_on(node)
        return await self._controllers[driver.kind].is_on(node, driver)

    @override
    async def reboot(self, node: NodeSnapshot, level: RebootLevel) -> None:
        driver = node.power_driver
        template = getattr(node.commands, f"{level.value}_reboot")
        if driver is None or (template and node.commands.power_on):
            await self._commands.reboot(node, level)
            return
        await pass_fence()
        if not await self.is_on(node):
            await self.power_on(node)
        elif template or level is RebootLevel.SOFT:
            await self._commands.reboot(node, level)
        elif level is RebootLevel.HARD:
            await self._start(node, driver, Switch.RESET)
        else:
            await self.power_off(node)
            await asyncio.sleep(self._off_seconds)
            await self.power_on(node)

    @override
    async def power_on(self, node: NodeSnapshot) -> None:
        driver = node.power_driver
        if driver is None or node.commands.power_on:
            await self._commands.power_on(node)
            return
        await pass_fence()
        if not await self.is_on(node):
            await self._start(node, driver, Switch.ON)
            await self._confirm(node, "power_on", on=True)

    @override
    async def power_off(self, node: NodeSnapshot) -> None:
        driver = node.power_driver
        if driver is None or node.commands.power_off:
            await self._commands.power_off(node)
            return
        await pass_fence()
        if await self.is_on(node):
            await self._controllers[driver.kind].switch(node, driver, Switch.OFF)
            await self._confirm(node, "power_off", on=False)

    async def _start(self, node: NodeSnapshot, driver: PowerDriverSnapshot, action: Switch) -> None:
        controller = self._controllers[driver.kind]
        await controller.boot_network_next(node, driver)
        await controller.switch(node, driver, action)

    async def _confirm(self, node: NodeSnapshot, word: str, *, on: bool) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._confirm_seconds
        while True:
            try:
                if await self.is_on(node) is on:
                    return
                seen = f"it says that the power is {'off' if on else 'on'}"
            except PowerError as error:
                # Some controllers are busy for a while after they have switched.
                seen = str(error)
            if loop.time() >= deadline:
                raise PowerError(
                    f"{word} of {node.name}: its controller agreed, but {self._confirm_seconds:g} s later {seen}; look "
                    f"at the machine, and reset its controller (ipmitool mc reset cold)"
                )
            await asyncio.sleep(CONFIRM_PAUSE)
