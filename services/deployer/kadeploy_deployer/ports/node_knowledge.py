"""What is known of the systems on a node."""

from dataclasses import dataclass

from kadeploy_deployer.domain.declaration import is_declaration
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.snapshot import DeploymentSpec, EnvironmentSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedSystem:
    """A system on a partition: deployed there, or declared, and not overwritten since."""

    node: str
    device: str
    partition: int
    deployment_id: str
    update_time: float
    environment: EnvironmentSnapshot
    spec: DeploymentSpec
    facts: NodeFacts

    @property
    def declared(self) -> bool:
        """Whether something else installed it: then it has no marker, and its host keys may be unknown."""
        return is_declaration(self.deployment_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeKnowledge:
    """What is known of a node's systems. `host_keys`: of the one that was last seen running."""

    host_keys: tuple[str, ...] = ()
    systems: tuple[DeployedSystem, ...] = ()

    @property
    def all_host_keys(self) -> tuple[str, ...]:
        """Returns the host keys of all its systems, the one last seen first."""
        keys = [*self.host_keys, *(key for system in self.systems for key in system.facts.host_keys)]
        return tuple(dict.fromkeys(keys))
