"""The nodes of a deployment, each with the disk that the deployment environment found to be its target's."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from typing_extensions import override

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.snapshot import NodeSnapshot


class LocatedNodes(Mapping[str, NodeSnapshot]):
    """The nodes by name, as what is known of them by now makes them."""

    def __init__(self, nodes: Mapping[str, NodeSnapshot], facts: Mapping[str, NodeFacts]) -> None:
        """Begins with what was copied of the inventory. `facts` may change; they are read at each look."""
        self._nodes = nodes
        self._facts = facts

    @override
    def __getitem__(self, name: str) -> NodeSnapshot:
        node, facts = self._nodes[name], self._facts.get(name)
        return node if facts is None else located(node, facts)

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    @override
    def __len__(self) -> int:
        return len(self._nodes)


def located(node: NodeSnapshot, facts: NodeFacts) -> NodeSnapshot:
    """Returns a node with the disk and the partition that its facts name."""
    if not facts.disk and not facts.partition_uuid:
        return node
    return replace(node, found_device=facts.disk, partition_uuid=facts.partition_uuid)
