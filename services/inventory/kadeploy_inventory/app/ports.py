"""What the use cases want from the world, named for the wish and not for the technology."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from kadeploy_edge.certificate_request import PublicKey
from kadeploy_inventory.domain.cluster import Cluster
from kadeploy_inventory.domain.environment import Environment
from kadeploy_inventory.domain.environment_lookup import Search
from kadeploy_inventory.domain.environment_quota import DEFAULT_QUOTA, EnvironmentQuota
from kadeploy_inventory.domain.login import IssuedLogin, LoginPolicy
from kadeploy_inventory.domain.node import Node
from kadeploy_inventory.domain.right import Granted, Right

ResultT = TypeVar("ResultT")
Key = tuple[str | int, ...]
Clock = Callable[[], datetime]
MakeId = Callable[[], str]


class Nodes(Protocol):
    """The registered nodes."""

    def add(self, nodes: Sequence[Node]) -> None:
        """Adds nodes with their disks and partitions."""

    def named(self, names: Collection[str]) -> dict[str, Node]:
        """Returns those of the named nodes that are registered."""

    def addresses(self) -> dict[str, str]:
        """Returns the IP address of every node, by its name."""

    def with_mac_addresses(self, addresses: Collection[str]) -> dict[str, str]:
        """Returns the name of the node at each address that is taken."""

    def with_uuids(self, uuids: Collection[str]) -> dict[str, str]:
        """Returns the name of the node with each UUID that is taken."""
        ...

    def with_ip_addresses(self, addresses: Collection[str]) -> dict[str, str]:
        """Returns the name of the node at each address that is taken."""

    def page(self, *, names: Collection[str] | None, cluster: str, after: Key | None, limit: int) -> list[Node]:
        """Returns the next nodes in natural order; no names and no cluster mean all."""

    def replace(self, node: Node, *, etag: str) -> bool:
        """Writes the node in place of the one with this etag; False when that one is gone."""

    def remove(self, names: Collection[str]) -> None:
        """Removes nodes with their disks and partitions."""


class Clusters(Protocol):
    """The clusters."""

    def add(self, cluster: Cluster) -> None:
        """Adds a cluster."""

    def named(self, names: Collection[str]) -> dict[str, Cluster]:
        """Returns those of the named clusters that exist."""

    def page(self, *, after: Key | None, limit: int) -> list[Cluster]:
        """Returns the next clusters by name."""

    def replace(self, cluster: Cluster, *, etag: str) -> bool:
        """Writes the cluster in place of the one with this etag; False when that one is gone."""

    def remove(self, name: str) -> None:
        """Removes a cluster that nothing stands in."""


class Environments(Protocol):
    """The recorded environments."""

    def add(self, environment: Environment) -> None:
        """Adds one version."""

    def find(self, name: str, version: int | None, search: Search) -> Environment | None:
        """Returns the version that is meant, the latest where none is named. Reads no other one."""

    def uids(self, name: str, owner: str) -> dict[int, str]:
        """Returns the uids of an owner's versions of a name, in ascending order."""
        ...

    def count(self, owner: str, *, name: str = "") -> int:
        """Returns how many an owner has, of one name or of all."""
        ...

    def oldest(self, owner: str, *, name: str = "") -> Environment | None:
        """Returns the one of an owner's that was recorded first, of one name or of all."""

    def recorded_names(self, names: Collection[str]) -> frozenset[str]:
        """Returns those of the names that somebody recorded an environment under."""

    def count_for_cluster(self, cluster: str) -> int:
        """Returns how many environments were made for a cluster."""

    def page(
        self,
        *,
        user: str | None,
        name: str,
        owner: str,
        cluster: str,
        latest: bool,
        after: Key | None,
        limit: int,
    ) -> list[Environment]:
        """Returns the next environments by name, owner and descending version.

        Args:
            user: only those that this user can use; None for all.
            name: only this name; empty for all.
            owner: only this owner's; empty for all.
            cluster: only those made for this cluster or for any; empty for all.
            latest: only the latest of each name and owner.
            after: the sort key of the last one given.
            limit: how many at most.
        """

    def replace(self, environment: Environment, *, etag: str) -> bool:
        """Writes what may change in place of the one with this etag; False when that one is gone."""

    def remove(self, uids: Collection[str]) -> None:
        """Removes versions."""


class Rights(Protocol):
    """The rights."""

    def put(self, rights: Sequence[Right]) -> None:
        """Adds rights, or gives those that are there the new expire time."""

    def matching(self, *, users: Collection[str], nodes: Collection[str], partitions: Collection[str]) -> list[Right]:
        """Returns the rights whose words are among these, letter by letter; empty means any."""

    def granted(self, *, user: str, nodes: Collection[str], now: datetime) -> Granted:
        """Returns what the user's rights, and everybody's, open now on nodes, wildcards included."""
        ...

    def page(
        self,
        *,
        user: str,
        nodes: Collection[str],
        now: datetime,
        after: Key | None,
        limit: int,
    ) -> list[Right]:
        """Returns the next rights that speak of the user and the nodes, wildcards included; empty means any."""

    def remove(self, rights: Sequence[Right]) -> None:
        """Removes rights."""


class Work(Protocol):
    """One transaction's view of everything."""

    @property
    def nodes(self) -> Nodes:
        """The registered nodes."""

    @property
    def clusters(self) -> Clusters:
        """The clusters."""

    @property
    def environments(self) -> Environments:
        """The recorded environments."""

    @property
    def rights(self) -> Rights:
        """The rights."""


class Store(Protocol):
    """Runs a use case in a transaction, as often as it takes when others write at the same time."""

    def read(self, use_case: Callable[[Work], ResultT]) -> ResultT:
        """Runs a use case that changes nothing."""

    def change_deploy(self, use_case: Callable[[Work], ResultT], *, frees: bool = False) -> ResultT:
        """Runs a use case that writes nodes, clusters or environments. `frees`: it only removes."""

    def change_rights(self, use_case: Callable[[Work], ResultT], *, frees: bool = False) -> ResultT:
        """Runs a use case that writes rights. `frees`: it only removes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What MUNGE says of a credential: the user (empty where the number has no name here), the host that made it."""

    payload: bytes
    uid: int
    user: str
    host: str


class Credentials(Protocol):
    """MUNGE, which knows the users of all hosts that share its key."""

    def read(self, credential: str) -> Credential:
        """Returns what a credential proves, once. Raises CredentialRefused or MungeUnreachable."""


class LoginAuthority(Protocol):
    """Whoever issues certificates to users."""

    def issue(self, user: str, key: PublicKey, *, now: datetime, hours: int) -> IssuedLogin:
        """Returns a certificate of a user's key. Raises UnusableLoginAuthority."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What certificates by login are issued with."""

    credentials: Credentials
    authority: LoginAuthority
    policy: LoginPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What use cases are run with.

    Attributes:
        store: runs them in transactions.
        clock: the present time.
        make_id: makes what was never there before: uids and etags.
        administrators: the users who administrate the site.
        environment_quota: how many environments each of the others may have.
        login: what certificates by login are issued with; None: none are issued.
    """

    store: Store
    clock: Clock
    make_id: MakeId
    administrators: frozenset[str]
    environment_quota: EnvironmentQuota = DEFAULT_QUOTA
    login: Login | None = None
