"""Argument lists as the one string that SSH sends, and as a word in a sentence."""

import shlex
from collections.abc import Mapping, Sequence


def command_line(arguments: Sequence[str], environment: Mapping[str, str] | None) -> str:
    """Returns the one string that SSH sends for an argument list, quoted so that no shell reads anything in it.

    Raises:
        ValueError: nothing to run, or a variable's name that is none.
    """
    if not arguments:
        raise ValueError("a command needs at least one word")
    variables = []
    for name, value in (environment or {}).items():
        if not name.isidentifier():
            raise ValueError(f"{name!r} cannot name a variable")
        variables.append(f"{name}={value}")
    prefix = ["env", *variables] if variables else []
    return shlex.join([*prefix, *arguments])


def command_word(arguments: Sequence[str]) -> str:
    """Names a command in a sentence; a script by the name that it was given as $0."""
    script = list(arguments[:2]) == ["sh", "-c"] and len(arguments) > 3  # noqa: PLR2004 - sh -c SCRIPT NAME
    return f"'{arguments[3] if script else arguments[0]}'"
