"""Command templates of the inventory, filled in for one node."""

import re
from collections.abc import Sequence

from kadeploy_deployer.domain.snapshot import NodeSnapshot

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class UnknownPlaceholder(ValueError):
    """A template has braces around a word that stands for nothing; `str()` is one sentence."""


def filled(template: Sequence[str], node: NodeSnapshot) -> tuple[str, ...]:
    """Returns the argument list for a node. What is filled in is never read again for placeholders.

    Raises:
        UnknownPlaceholder: a word in braces that is none of ours, or a label that the node does not have.
    """
    return tuple(_PLACEHOLDER.sub(lambda match: _value(match[1], node), argument) for argument in template)


def default_controller(name: str) -> str:
    """Returns where a node's management controller answers when nobody says it."""
    short, dot, domain = name.partition(".")
    return f"{short}-bmc{dot}{domain}"


def _value(word: str, node: NodeSnapshot) -> str:
    short = node.name.partition(".")[0]
    values = {
        "name": node.name,
        "node_short": short,
        "short": short,
        "ip": node.ip_address,
        "mac": node.mac_address,
        "bmc": node.bmc_address or default_controller(node.name),
        "cluster": node.cluster,
    }
    if word in values:
        return values[word]
    prefix, _, key = word.partition(":")
    if prefix == "label" and key in node.labels:
        return node.labels[key]
    if prefix == "label":
        raise UnknownPlaceholder(f"{node.name} has no label {key!r}, which a command of it names")
    raise UnknownPlaceholder(f"a command of {node.name} has the unknown placeholder {{{word}}}")
