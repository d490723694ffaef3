"""What an administrator says that partitions hold: systems that something else than a deployment installed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kadeploy_deployer.domain.snapshot import DeploymentSpec, EnvironmentSnapshot

DECLARATION_PREFIX = "declared-"


def is_declaration(deployment_id: str) -> bool:
    """Returns whether the id in a partition's row is that of a declaration, and not of a deployment."""
    return deployment_id.startswith(DECLARATION_PREFIX)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredPartition:
    """A partition of a declaration. `host_keys`: of the system on it, "kind base64"; empty where nobody knows them."""

    node: str
    device: str
    partition: int
    host_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """A declaration that can be stored.

    Attributes:
        id: begins with DECLARATION_PREFIX.
        owner: who made it.
        spec: how the systems boot.
        environment: what they are; None: the partitions hold nothing that is known.
        partitions: one for each node.
        now: seconds since the epoch.
    """

    id: str
    owner: str
    spec: DeploymentSpec
    environment: EnvironmentSnapshot | None
    partitions: tuple[DeclaredPartition, ...]
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclarationRequest:
    """What an administrator asks for. `host_keys`: by node. `empty`: nothing is there; `spec` names no environment."""

    spec: DeploymentSpec
    host_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    empty: bool = False
