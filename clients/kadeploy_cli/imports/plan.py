"""What an import makes, and what it leaves behind."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from kadeploy.inventory.v1 import cluster_pb2, environment_pb2, node_pb2
from kadeploy_cli.terminal.failures import UsageFailure

Value = TypeVar("Value")


class GrantedRight(NamedTuple):
    """A right; "*" stands for all."""

    user: str
    node: str
    partition: str


class InstalledSystem(NamedTuple):
    """What the old site installed on a partition. `device` empty and `partition` 0: the cluster's default."""

    environment: str
    version: int
    owner: str
    device: str
    partition: int
    node: str


@dataclass(slots=True, kw_only=True)
class Profile:
    """A cluster's profile, and the fields of it that are said."""

    message: cluster_pb2.ClusterProfile = field(default_factory=cluster_pb2.ClusterProfile)
    fields: list[str] = field(default_factory=list)

    def said(self, *names: str) -> None:
        """Notes that fields are said."""
        self.fields += [name for name in names if name not in self.fields]


@dataclass(slots=True, kw_only=True)
class ImportPlan:
    """What an import makes. `notices`: what has no counterpart, a sentence each."""

    clusters: dict[str, Profile] = field(default_factory=dict)
    nodes: dict[str, node_pb2.Node] = field(default_factory=dict)
    environments: list[environment_pb2.Environment] = field(default_factory=list)
    rights: list[GrantedRight] = field(default_factory=list)
    installed: list[InstalledSystem] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def cluster(self, name: str) -> Profile:
        """Returns the profile of a cluster, which the import then makes."""
        return self.clusters.setdefault(name, Profile())

    def notice(self, where: str, what: str) -> None:
        """Notes what has no counterpart, once."""
        if (notice := f"{where}: {what}") not in self.notices:
            self.notices.append(notice)

    def leave_out_unknown_systems(self) -> None:
        """Leaves out what is installed on nodes, or of environments, that the import does not make, and notes it."""
        environments = {(each.name, each.version, each.owner) for each in self.environments}
        known: list[InstalledSystem] = []
        left: Counter[tuple[str, int]] = Counter()
        for one in self.installed:
            if (one.environment, one.version, one.owner) in environments and one.node in self.nodes:
                known.append(one)
            else:
                left[one.environment, one.version] += 1
        self.installed = known
        for (name, version), count in left.items():
            what = f"on {count} partitions is not declared: the import makes not both the node and the environment"
            self.notice(f"installed {name} version {version}", what)

    def attempt(self, where: str, work: Callable[[], Value]) -> Value | None:
        """Returns what the work returns; if it is refused, notes why, and returns None."""
        try:
            return work()
        except UsageFailure as failure:
            self.notice(where, f"left out: {failure.message.splitlines()[0]}")
            return None
