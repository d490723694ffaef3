"""Where management controllers answer, as a cluster's profile says it for all of its nodes."""

import re

from kadeploy_inventory.domain.addresses import parse_controller_address

PLACES = ("name", "node_short", "domain", "cluster")
_BRACED = re.compile(r"\{([^{}]*)\}")


def parse_pattern(text: str) -> str:
    """Returns a pattern that makes an address of every node, or raises ValueError."""
    for place in _BRACED.findall(text):
        if place not in PLACES:
            known = ", ".join(f"{{{name}}}" for name in PLACES)
            raise ValueError(f"names {{{place}}}, but only {known} are known")
    if re.search(r"[{}]", _BRACED.sub("", text)):
        raise ValueError(f"has a brace without its partner: {text!r}")
    if text and not _BRACED.search(text):
        raise ValueError("is the same for all nodes: name {node_short} or {name} in it")
    if text:
        parse_controller_address(filled(text, name="node-1.example.org", cluster="default"))
    return text


def filled(pattern: str, *, name: str, cluster: str) -> str:
    """Returns the address of a controller. No pattern: the name's first label with "-bmc", then the rest of it."""
    short, dot, domain = name.partition(".")
    if not pattern:
        return f"{short}-bmc{dot}{domain}"
    values = {"name": name, "node_short": short, "domain": domain, "cluster": cluster}
    return _BRACED.sub(lambda match: values[match[1]], pattern)
