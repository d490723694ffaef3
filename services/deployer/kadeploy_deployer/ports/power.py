"""Reaching nodes from outside: their power. Adapter: `adapters/power_commands.py`."""

from typing import Protocol

from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.domain.states import RebootLevel


class PowerError(Exception):
    """A power command failed; `str()` is one sentence with the node's name, the command's word and its exit status."""


class Power(Protocol):
    """Reaches nodes from outside by the command templates of their snapshot. Every command has a bound.

    What changes the power passes the fence (`engine.fence`) right before, and raises what that raises.
    """

    async def is_on(self, node: NodeSnapshot) -> bool | None:
        """Returns whether the node's power is on; None when the cluster has no status command. Raises PowerError."""
        ...

    async def reboot(self, node: NodeSnapshot, level: RebootLevel) -> None:
        """Reboots at the given level; a machine that is off is switched on. Raises PowerError.

        The soft level is a command here only where the template is not empty; logging in and rebooting is the
        caller's part.
        """
        ...

    async def power_on(self, node: NodeSnapshot) -> None:
        """Switches on. Raises PowerError."""
        ...

    async def power_off(self, node: NodeSnapshot) -> None:
        """Switches off. Raises PowerError."""
        ...
