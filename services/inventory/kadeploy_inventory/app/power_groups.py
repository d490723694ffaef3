"""Nodes that share a supply: what takes the power of one takes it of the others."""

from collections import defaultdict
from collections.abc import Mapping

from kadeploy_inventory.app.ports import Work
from kadeploy_inventory.domain.cluster import ClusterProfile
from kadeploy_inventory.domain.node import Node
from kadeploy_inventory.domain.node_set import MAXIMUM_NODES
from kadeploy_nodeset import fold


def power_sharers(nodes: Mapping[str, Node], profiles: Mapping[str, ClusterProfile], work: Work) -> dict[str, str]:
    """Returns, by node, the others on its supply as a node set; nodes that share with nobody are left out."""
    labels = {node.cluster: profiles[node.cluster].power_group_label for node in nodes.values()}
    keys = {key for key in labels.values() if key}
    if not keys:
        return {}
    # A supply may feed nodes of several clusters.
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for node in work.nodes.page(names=None, cluster="", after=None, limit=MAXIMUM_NODES):
        for key in keys & node.labels.keys():
            groups[key, node.labels[key]].append(node.name)
    found = {}
    for name, node in nodes.items():
        key = labels[node.cluster]
        others = [other for other in groups.get((key, node.labels.get(key, "")), ()) if other != name] if key else []
        if others:
            found[name] = fold(others)
    return found
