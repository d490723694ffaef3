"""Command templates: argument lists with places for a node's values. No shell ever reads them."""

import re
from collections.abc import Collection
from dataclasses import dataclass, fields

from kadeploy_inventory.domain.names import parse_label_key
from kadeploy_inventory.domain.problems import Problems
from kadeploy_inventory.domain.texts import parse_line

PLACES = frozenset({"name", "node_short", "short", "ip", "mac", "bmc", "cluster"})
_LABEL = "label:"
_BRACED = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandTemplates:
    """What can be done to a node from outside; an empty list means that it cannot be done."""

    soft_reboot: tuple[str, ...] = ()
    hard_reboot: tuple[str, ...] = ()
    very_hard_reboot: tuple[str, ...] = ()
    power_on: tuple[str, ...] = ()
    power_off: tuple[str, ...] = ()
    power_status: tuple[str, ...] = ()
    console: tuple[str, ...] = ()


NO_COMMANDS = CommandTemplates()
"""What most nodes have of their own: the cluster's profile says it for all."""


def parse_argument(text: str) -> str:
    """Returns an argument whose braces all name a known value, or raises ValueError."""
    parse_line(text)
    for place in _BRACED.findall(text):
        if place.startswith(_LABEL):
            parse_label_key(place.removeprefix(_LABEL))
        elif place not in PLACES:
            known = ", ".join(f"{{{name}}}" for name in sorted(PLACES))
            raise ValueError(f"names {{{place}}}, but only {known} and {{label:KEY}} are known")
    if re.search(r"[{}]", _BRACED.sub("", text)):
        raise ValueError(f"has a brace without its partner: {text!r}")
    return text


def check_commands(commands: CommandTemplates, problems: Problems, *, labels: Collection[str] | None = None) -> None:
    """Adds what is wrong with the templates.

    Args:
        commands: the templates.
        problems: where to add.
        labels: the keys that `{label:KEY}` may name; None when they are not known here.
    """
    for field in fields(commands):
        template: tuple[str, ...] = getattr(commands, field.name)
        if template and not template[0].strip():
            problems.add(f"{field.name}.arguments[0]", "must name a program")
        for index, argument in enumerate(template):
            path = f"{field.name}.arguments[{index}]"
            problems.take(path, parse_argument, argument)
            _check_labels(argument, path, problems, labels)


def _check_labels(argument: str, path: str, problems: Problems, labels: Collection[str] | None) -> None:
    if labels is None:
        return
    for place in _BRACED.findall(argument):
        key = place.removeprefix(_LABEL)
        if place.startswith(_LABEL) and key not in labels:
            problems.add(path, f"names the label {key!r}, which the node does not have")
