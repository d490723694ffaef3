"""What the BMC of a node does to its machine, in IPMI's words and completion codes."""

import time
from collections.abc import Callable
from typing import Protocol

from kadeploy_lab.errors import LabError
from kadeploy_lab.hardware import DISK, NETWORK

# Completion codes of IPMI 2.0, table 5-2.
DONE = 0x00
INVALID_FIELD = 0xCC
NOT_IN_THIS_STATE = 0xD5
FAILED = 0xFF

# ipmitool sends a command again when one second passes without an answer.
_RESEND_SECONDS = 6.0


class PowerButton(Protocol):
    """The part of a machine that a BMC holds."""

    @property
    def is_on(self) -> bool:
        """Whether the machine has power."""

    def on(self, *, first: str = "") -> None:
        """Switches the machine on; `first`: what this start tries first ("network", "disk")."""

    def off(self) -> None:
        """Takes the power away."""

    def reset(self, *, first: str = "") -> None:
        """Presses the reset button; `first` as for `on`."""

    def ask_to_shut_down(self) -> None:
        """Presses the power button shortly."""


class Chassis:
    """Chassis control (IPMI 2.0, section 28.3) of one machine."""

    def __init__(
        self,
        machine: PowerButton,
        *,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.next_boot = "default"
        self._machine = machine
        self._say = say
        self._clock = clock
        self._last: tuple[object, int, float, int] | None = None
        self._actions: dict[int, tuple[str, Callable[[], int]]] = {
            0: ("off", self._off),
            1: ("on", self._on),
            2: ("cycle", self._cycle),
            3: ("reset", self._reset),
            5: ("soft", self._soft),
        }

    @property
    def is_on(self) -> bool:
        """Whether the machine has power."""
        return self._machine.is_on

    def control(self, directive: int, session: object) -> int:
        """Carries out a chassis control command and returns its completion code.

        A command that the same session sends again shortly after is the network's doing: a machine
        that was just cycled is not cycled a second time.
        """
        if directive not in self._actions:
            return INVALID_FIELD
        now = self._clock()
        if self._last is not None:
            last_session, last_directive, when, code = self._last
            if (last_session, last_directive) == (session, directive) and now - when < _RESEND_SECONDS:
                return code
        code = self._carry_out(directive)
        self._last = (session, directive, self._clock(), code)
        return code

    def _carry_out(self, directive: int) -> int:
        name, action = self._actions[directive]
        try:
            code = action()
        except LabError as failure:
            self._say(f"power {name} failed: {failure}")
            return FAILED
        self._say(f"power {name}" if code == DONE else f"power {name} refused: the machine is off")
        return code

    def _next_device(self) -> str:
        """A boot device that was set before is used for one start."""
        device, self.next_boot = self.next_boot, "default"
        return {"network": NETWORK, "hd": DISK}.get(device, "")

    def _on(self) -> int:
        if not self._machine.is_on:
            self._machine.on(first=self._next_device())
        return DONE

    def _off(self) -> int:
        self._machine.off()
        return DONE

    def _cycle(self) -> int:
        """A machine without power gets it: a caller that cycles wants it to run."""
        self._machine.off()
        return self._on()

    def _reset(self) -> int:
        """Refused without power, as most BMCs do."""
        if not self._machine.is_on:
            return NOT_IN_THIS_STATE
        self._machine.reset(first=self._next_device())
        return DONE

    def _soft(self) -> int:
        if self._machine.is_on:
            self._machine.ask_to_shut_down()
        return DONE
