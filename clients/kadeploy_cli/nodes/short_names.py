"""Nodes named in short, `node-1` for `node-1.site.example.org`, or by IP address: by their registered names."""

import re

from kadeploy.inventory.v1 import inventory_service_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.terminal.failures import Failure, UsageFailure
from kadeploy_nodeset import NodeSet

MOST = 10_000
"""The inventory looks for so many names at once; whoever names more names them in full."""
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")


def full_names(session: Session, nodes: NodeSet) -> NodeSet:
    """Returns the nodes by their registered names; a name that fits no node stays as it is, for the service to refuse.

    Raises:
        UsageFailure: a name fits several nodes.
    """
    short = NodeSet(name for name in nodes if "." not in name or _ADDRESS.fullmatch(name))
    if not short or len(short) > MOST or "inventory" not in session.settings.addresses:
        return nodes
    request = inventory_service_pb2.ResolveNodeNamesRequest(nodes=str(short), domain=session.settings.domain)
    try:
        answer = session.inventory.call(session.inventory.nodes.ResolveNodeNames, request)
    except Failure:
        # What is wrong is said by the call that matters; a command that needs no inventory does not need it for this.
        return nodes
    found = {each.word: list(each.names) for each in answer.found}
    for word, names in found.items():
        if len(names) > 1:
            raise UsageFailure(
                f"{word} could be {', '.join(names)}",
                advice='Name it in full; `domain = "…"` in client.toml says which domain is meant.',
            )
    if not found:
        return nodes
    return NodeSet(name for node in nodes for name in found.get(node, [node]))
