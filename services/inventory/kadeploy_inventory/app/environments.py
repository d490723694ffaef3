"""The systems that can be installed: recording, finding, sharing and removing them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from kadeploy_inventory.app.ports import Clock, Key, MakeId, Work
from kadeploy_inventory.domain.cluster import EnvironmentReference
from kadeploy_inventory.domain.environment import (
    Environment,
    Visibility,
    check_environment,
)
from kadeploy_inventory.domain.environment_lookup import Search, searches
from kadeploy_inventory.domain.environment_quota import EnvironmentQuota
from kadeploy_inventory.domain.errors import (
    AdministratorsOnly,
    EnvironmentExists,
    EnvironmentNotFound,
    EnvironmentQuotaReached,
    InvalidEnvironment,
    NotYours,
    StaleEtag,
)
from kadeploy_inventory.domain.problems import Problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """On whose behalf an environment is asked for.

    Attributes:
        user: the user; empty for a service.
        is_administrator: true when he may record public ones and change those of others.
        sees_all: true when privacy does not bind him: administrators and services.
    """

    user: str
    is_administrator: bool = False
    sees_all: bool = False


def record_environment(
    description: Environment,
    *,
    validate_only: bool,
    asker: Asker,
    quota: EnvironmentQuota,
    work: Work,
    clock: Clock,
    make_id: MakeId,
) -> Environment:
    """Records a version, or only says what would be; the same content again is answered with what stands there."""
    environment = _checked(replace(description, owner=description.owner or asker.user), work)
    _check_owner(environment.owner, asker)
    _check_visibility(environment.visibility, asker)
    present = work.environments.find(environment.name, environment.version, Search(owner=environment.owner))
    if present is not None:
        if present.is_as_described(environment):
            return present
        raise EnvironmentExists(
            f"{environment} is recorded with other content; record the next version",
            metadata={"environment": str(environment)},
        )
    if not asker.is_administrator:
        _check_quota(environment, quota, work)
    environment = replace(environment, uid=make_id(), etag=make_id(), create_time=clock())
    if not validate_only:
        work.environments.add(environment)
    return environment


def check_described(description: Environment, *, owner: str, work: Work) -> Environment:
    """Returns an environment that is not to be recorded in its normal form. Raises InvalidEnvironment."""
    return _checked(replace(description, owner=owner, visibility=Visibility.PRIVATE), work)


def _checked(described: Environment, work: Work) -> Environment:
    problems = Problems("environment")
    environment = check_environment(described, problems)
    if not problems and environment.cluster and not work.clusters.named([environment.cluster]):
        problems.add("cluster", f"names the cluster {environment.cluster}, which does not exist")
    if problems:
        raise InvalidEnvironment.of("the environment cannot be accepted", problems.found)
    return environment


def get_environment(reference: EnvironmentReference, *, asker: Asker, work: Work) -> Environment:
    """Returns the environment that a reference means to the asker, or raises EnvironmentNotFound."""
    for search in searches(reference, user=asker.user, sees_all=asker.sees_all):
        found = work.environments.find(reference.name, reference.version, search)
        if found is not None:
            return found
    whom = f" for {asker.user}" if asker.user else ""
    raise EnvironmentNotFound(
        f"there is no environment {reference}{whom}; see the list of environments",
        metadata={"environment": str(reference), "user": asker.user},
    )


def list_environments(
    *,
    name: str,
    owner: str,
    cluster: str,
    latest: bool,
    asker: Asker,
    after: Key | None,
    limit: int,
    work: Work,
) -> list[Environment]:
    """Returns the next environments that the asker may use."""
    return work.environments.page(
        user=None if asker.sees_all else asker.user,
        name=name,
        owner=owner,
        cluster=cluster,
        latest=latest,
        after=after,
        limit=limit,
    )


def update_environment(
    reference: EnvironmentReference,
    *,
    etag: str,
    change: Callable[[Environment], Environment],
    asker: Asker,
    work: Work,
    make_id: MakeId,
) -> Environment:
    """Changes the visibility or the digests of one version."""
    present = get_environment(reference, asker=asker, work=work)
    _check_owner(present.owner, asker)
    if etag and etag != present.etag:
        raise StaleEtag.of(str(present))
    problems = Problems("environment")
    changed = check_environment(change(present), problems)
    if problems:
        raise InvalidEnvironment.of("the environment cannot be accepted", problems.found)
    if changed.visibility is not present.visibility:
        _check_visibility(changed.visibility, asker)
    changed = replace(changed, etag=make_id())
    if not work.environments.replace(changed, etag=present.etag):
        raise StaleEtag.of(str(present))
    return changed


def delete_environment(reference: EnvironmentReference, *, asker: Asker, work: Work) -> tuple[int, ...]:
    """Removes one version, or all of them when none is named, and returns which."""
    owner = reference.owner or asker.user
    _check_owner(owner, asker)
    gone = {
        version: uid
        for version, uid in work.environments.uids(reference.name, owner).items()
        if reference.version in {None, version}
    }
    if not gone:
        wanted = replace(reference, owner=owner)
        raise EnvironmentNotFound(f"there is no environment {wanted}", metadata={"environment": str(wanted)})
    work.environments.remove(gone.values())
    return tuple(gone)


def _check_quota(environment: Environment, quota: EnvironmentQuota, work: Work) -> None:
    """Raises EnvironmentQuotaReached when there is no room for another environment of this name and owner."""
    owner, name = environment.owner, environment.name
    if work.environments.count(owner, name=name) >= quota.versions:
        oldest = work.environments.oldest(owner, name=name)
        raise EnvironmentQuotaReached.of_versions(owner, name, quota.versions, str(oldest))
    if work.environments.count(owner) >= quota.environments:
        oldest = work.environments.oldest(owner)
        raise EnvironmentQuotaReached.of_environments(owner, quota.environments, str(oldest))


def _check_owner(owner: str, asker: Asker) -> None:
    if owner != asker.user and not asker.is_administrator:
        raise NotYours(
            f"the environment belongs to {owner}; only {owner} and administrators change it",
            metadata={"owner": owner, "user": asker.user},
        )


def _check_visibility(visibility: Visibility, asker: Asker) -> None:
    if visibility is Visibility.PUBLIC and not asker.is_administrator:
        raise AdministratorsOnly(
            "only administrators make an environment public; shared is for everybody who names its owner",
            metadata={"user": asker.user},
        )
