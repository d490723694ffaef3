"""Which environment a reference means to whom: where to look, one place after the other."""

from dataclasses import dataclass

from kadeploy_inventory.domain.cluster import EnvironmentReference
from kadeploy_inventory.domain.environment import Visibility


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One place to look. The latest version there is meant; between owners of the same version, the first by name.

    Attributes:
        owner: whose; empty for anybody's.
        visibilities: how visible it must be; empty where that does not matter.
    """

    owner: str = ""
    visibilities: tuple[Visibility, ...] = ()


def searches(reference: EnvironmentReference, *, user: str, sees_all: bool = False) -> tuple[Search, ...]:
    """Returns where to look for an environment, in order.

    With an owner named: what is theirs, if it is the user's own, shared or public. Without: the user's own, else a
    public one.

    Args:
        reference: what was asked for.
        user: on whose behalf; empty for a service.
        sees_all: true for those whom an owner's privacy does not bind: administrators and services.
    """
    if not reference.owner:
        public = Search(visibilities=(Visibility.PUBLIC,))
        return (Search(owner=user), public) if user else (public,)
    if sees_all or reference.owner == user:
        return (Search(owner=reference.owner),)
    return (Search(owner=reference.owner, visibilities=(Visibility.SHARED, Visibility.PUBLIC)),)
