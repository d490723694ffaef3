"""Command lines of Kadeploy's configuration as command templates: argument lists with places for a node's values."""

import re
import shlex
from collections.abc import Mapping

from kadeploy_cli.terminal.failures import UsageFailure

# What only a shell understands. In quotes it may be meant literally, but nobody can tell.
_SHELL = re.compile(r"[|;&<>`$*?\n]|\(|\)")


def template(line: str, places: Mapping[str, str]) -> list[str]:
    """Returns the arguments of a command line, or raises UsageFailure if it needs a shell.

    Args:
        line: as it stands in the configuration.
        places: by a word of the line: the place that stands for it, such as "{name}".
    """
    if _SHELL.search(line):
        raise UsageFailure(f"{line!r} needs a shell: put it into a script, and name that")
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageFailure(f"{line!r} cannot be split into arguments: {error}") from None
    if not words:
        raise UsageFailure("the command is empty")
    if any(sign in word for word in words for sign in "{}"):
        raise UsageFailure(f"{line!r} has braces, which stand for a node's values here")
    if not places:
        return words
    # The longest first: node-1.example.org before node-1; and node-1 is no part of node-10.
    names = sorted(places, key=len, reverse=True)
    pattern = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(re.escape(name) for name in names)})(?![A-Za-z0-9])")
    return [pattern.sub(lambda match: places[match[0]], word) for word in words]
