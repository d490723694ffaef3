"""Variables that an environment hands to scripts."""

import re
from collections.abc import Mapping

from kadeploy_inventory.domain.problems import Problems
from kadeploy_inventory.domain.texts import parse_line

OWN_PREFIX = "KADEPLOY_"
"""Of the variables that the deployer sets itself."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")


def check_variables(variables: Mapping[str, str], problems: Problems) -> None:
    """Adds what is wrong with names and values."""
    for name, value in variables.items():
        if not _NAME.match(name):
            problems.add("custom_variables", f"has no name of a variable such as BOOTLOADER: {name!r}")
        elif name.startswith(OWN_PREFIX):
            problems.add("custom_variables", f"names {name}: what begins with {OWN_PREFIX} is set by the deployer")
        problems.take(f"custom_variables[{name!r}]", parse_line, value)
