"""What can go wrong, in words of the inventory. Each word is exactly one kind of error."""

from collections.abc import Iterable
from typing import Self

from kadeploy_edge.errors import (
    Conflict,
    Denied,
    Exhausted,
    Exists,
    FieldViolation,
    Invalid,
    Missing,
    NotInState,
    Unreachable,
)

_SPELLED = 10


class _InvalidFields(Invalid):
    """A description with fields that cannot be accepted."""

    @classmethod
    def of(cls, what: str, violations: Iterable[FieldViolation]) -> Self:
        """Returns the error that names every field at fault and spells out the first."""
        found = tuple(violations)
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        message = f"{what}: {found[0].field} {found[0].description}{more}"
        return cls(message, metadata={"field": found[0].field}, violations=found)


class InvalidNode(_InvalidFields):
    """A node's description cannot be accepted."""

    reason = "INVALID_NODE"


class InvalidPartitionTable(_InvalidFields):
    """A disk cannot be partitioned as described."""

    reason = "INVALID_PARTITION_TABLE"


class InvalidCluster(_InvalidFields):
    """A cluster's description cannot be accepted."""

    reason = "INVALID_CLUSTER"


class InvalidEnvironment(_InvalidFields):
    """An environment's description cannot be accepted."""

    reason = "INVALID_ENVIRONMENT"


class InvalidRight(_InvalidFields):
    """A right, or a filter of rights, cannot be accepted."""

    reason = "INVALID_RIGHT"


class InvalidNodeSet(_InvalidFields):
    """A node set cannot be understood."""

    reason = "INVALID_NODE_SET"


class ImmutableField(_InvalidFields):
    """The update names a field that never changes once recorded."""

    reason = "IMMUTABLE_FIELD"


class NodeNotFound(Missing):
    """No node of that name is registered."""

    reason = "NODE_NOT_FOUND"

    @classmethod
    def named(cls, *names: str) -> Self:
        """Returns the error for one or more names, the first of which are spelled out."""
        more = f" and {len(names) - _SPELLED} more" if len(names) > _SPELLED else ""
        joined = ",".join(names[:_SPELLED]) + more
        verb = "is" if len(names) == 1 else "are"
        return cls(f"{joined} {verb} not registered", metadata={"nodes": joined})


class NodeExists(Exists):
    """A node of that name is registered with other values."""

    reason = "NODE_EXISTS"


class AddressTaken(Exists):
    """Another node has this MAC or IP address."""

    reason = "ADDRESS_TAKEN"


class ClusterNotFound(Missing):
    """No cluster of that name exists."""

    reason = "CLUSTER_NOT_FOUND"

    @classmethod
    def named(cls, name: str) -> Self:
        """Returns the error for one name."""
        return cls(f"there is no cluster {name}", metadata={"cluster": name})


class ClusterExists(Exists):
    """A cluster of that name exists."""

    reason = "CLUSTER_EXISTS"


class ClusterInUse(NotInState):
    """The cluster cannot go while something stands in it."""

    reason = "CLUSTER_IN_USE"


class EnvironmentNotFound(Missing):
    """No environment that the caller may use answers to this reference."""

    reason = "ENVIRONMENT_NOT_FOUND"


class EnvironmentQuotaReached(Exhausted):
    """A user has as many environments as the site allows."""

    reason = "ENVIRONMENT_QUOTA_REACHED"

    @classmethod
    def of_versions(cls, owner: str, name: str, quota: int, oldest: str) -> Self:
        """Returns the error for too many versions of one name."""
        return cls(
            f"{owner} has {quota} versions of {name}, as many as the site allows; delete some first, such as {oldest}",
            metadata={"owner": owner, "environment": name, "quota": str(quota), "oldest": oldest},
        )

    @classmethod
    def of_environments(cls, owner: str, quota: int, oldest: str) -> Self:
        """Returns the error for too many environments of all names."""
        return cls(
            f"{owner} has {quota} environments, as many as the site allows; delete some first, such as {oldest}",
            metadata={"owner": owner, "quota": str(quota), "oldest": oldest},
        )


class EnvironmentExists(Exists):
    """This name, version and owner stand for other content."""

    reason = "ENVIRONMENT_EXISTS"


class StaleEtag(Conflict):
    """Somebody changed the resource since it was read."""

    reason = "STALE_ETAG"

    @classmethod
    def of(cls, what: str) -> Self:
        """Returns the error for one resource."""
        return cls(
            f"{what} was changed by somebody else; read it again and repeat the update",
            metadata={"resource": what},
        )


class ConcurrentChange(Conflict):
    """Another call changed the same rows again and again; nothing was written."""

    reason = "CONCURRENT_CHANGE"


class DatabaseUnreachable(Unreachable):
    """The database does not answer, or is held by somebody else for too long."""

    reason = "DATABASE_UNREACHABLE"


class AdministratorsOnly(Denied):
    """Only administrators may do this."""

    reason = "ADMINISTRATORS_ONLY"


class NotYours(Denied):
    """The caller asks about, or would change, what belongs to somebody else."""

    reason = "NOT_YOURS"


class LoginDisabled(NotInState):
    """The site issues no certificates by login."""

    reason = "LOGIN_DISABLED"


class LoginRefused(Denied):
    """This user gets no certificate by login."""

    reason = "LOGIN_REFUSED"


class CredentialRefused(Denied):
    """The MUNGE credential proves nothing: it is damaged, used, too old, or made for something else."""

    reason = "CREDENTIAL_REFUSED"


class MungeUnreachable(Unreachable):
    """MUNGE does not answer on the inventory's host."""

    reason = "MUNGE_UNREACHABLE"


class UnusableLoginAuthority(Unreachable):
    """The login authority's certificate or key cannot be used."""

    reason = "UNUSABLE_LOGIN_AUTHORITY"
