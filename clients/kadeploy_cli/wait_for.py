"""`--wait-for 95%`: how many nodes have to be deployed before the command returns."""

import math
import re
from dataclasses import dataclass

from kadeploy_cli.terminal.failures import UsageFailure

_TEXT = re.compile(r"(\d{1,7})(%?)")
ALL = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitFor:
    """A number of nodes, or a percentage of those that were asked for."""

    number: int
    is_percentage: bool = False

    def needed(self, asked: int) -> int:
        """Returns how many of so many nodes have to be deployed; never more than there are."""
        wanted = math.ceil(asked * self.number / ALL) if self.is_percentage else self.number
        return min(wanted, asked)


def parse(text: str) -> WaitFor:
    """Returns what `--wait-for` says, or raises UsageFailure."""
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        raise UsageFailure(f"--wait-for takes a number of nodes or a percentage, and not {text!r}")
    number, is_percentage = int(found[1]), bool(found[2])
    if number == 0 or (is_percentage and number > ALL):
        raise UsageFailure(f"--wait-for {text} cannot be waited for", advice="Write a number from 1, or 1% to 100%.")
    return WaitFor(number=number, is_percentage=is_percentage)
