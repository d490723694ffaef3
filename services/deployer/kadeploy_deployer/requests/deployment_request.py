"""What a request for a deployment comes to: checked, resolved, judged node by node. Nothing is changed here."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kadeploy_deployer.domain import boot_choice
from kadeploy_deployer.domain.eligibility import obstacle
from kadeploy_deployer.domain.errors import InvalidDeployment, NotAdministrator, RightMissing
from kadeploy_deployer.domain.feasibility import impossible
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.snapshot import DeploymentSpec, NodeSnapshot
from kadeploy_deployer.domain.states import BootMethod, FailureReason
from kadeploy_deployer.engine.rights import RightsQuery, find_missing_rights, overwritten_partitions
from kadeploy_deployer.ports import Inventory, Resolution
from kadeploy_deployer.requests.expansion import expand_aside
from kadeploy_edge.errors import FieldViolation

LONGEST_WAIT = 24 * 3600.0
"""How long a caller may want to wait where the site says nothing else: who wants the same nodes queues behind them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who asks."""

    user: str
    is_administrator: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request that can be carried out.

    Attributes:
        owner: for whom.
        needs_right: whether the owner must have the right on the targets.
        spec: as it was asked for, with the boot method that it comes to.
        resolution: what it resolved to.
        left_out: the nodes that cannot take part, and why.
    """

    owner: str
    needs_right: bool
    spec: DeploymentSpec
    resolution: Resolution
    left_out: Mapping[str, Failure]

    @property
    def rights_query(self) -> RightsQuery:
        """Whose right is asked for, on which targets."""
        nodes = {node.name: node.snapshot for node in self.resolution.nodes if node.snapshot is not None}
        return RightsQuery(
            user=self.owner if self.needs_right else "",
            partitions={name: node.target_word for name, node in nodes.items()},
            more=overwritten_partitions(self.spec, nodes),
        )

    @property
    def included(self) -> Mapping[str, NodeSnapshot]:
        """The nodes that can take part."""
        return {
            node.name: node.snapshot
            for node in self.resolution.nodes
            if node.snapshot is not None and node.name not in self.left_out
        }


def owner_of(spec: DeploymentSpec, actor: Actor) -> str:
    """Returns for whom the deployment is, or raises NotAdministrator."""
    if spec.user and spec.user != actor.user and not actor.is_administrator:
        raise NotAdministrator(actor.user, spec.user)
    return spec.user or actor.user


async def prepare(
    spec: DeploymentSpec,
    *,
    actor: Actor,
    inventory: Inventory,
    longest_wait: float = LONGEST_WAIT,
    described: bytes = b"",
) -> Prepared:
    """Checks and resolves a request.

    Args:
        spec: what is wanted.
        actor: who asks.
        inventory: knows nodes, environments and rights.
        longest_wait: seconds that a request may want to wait for its turn and its nodes.
        described: an environment for this deployment alone, in the inventory's own form.

    Raises:
        InvalidNodeSet, InvalidDeployment: it can never be carried out.
        NotAdministrator: it is for another user.
        RightMissing: the user may not deploy to some of the nodes.
    """
    owner = owner_of(spec, actor)
    _check(spec, longest_wait, described=bool(described))
    await expand_aside(spec.nodes)
    resolution = await inventory.resolve(spec, user=owner, described=described)
    if spec.whole_disk and not spec.partition:
        # Which partition the system is on then, its environment says.
        spec = replace(spec, partition=resolution.environment.system_partition or 1)
        resolution = await inventory.resolve(spec, user=owner, described=described)
    # Administrators need no right of their own; on behalf of somebody else, that user's rights count.
    needs_right = not (actor.is_administrator and owner == actor.user)
    if needs_right:
        forbidden = [node.name for node in resolution.nodes if node.snapshot is not None and not node.allowed]
        if forbidden:
            raise RightMissing(owner, forbidden)
    spec = replace(spec, environment_name=spec.environment_name or resolution.environment.name)
    left_out = {}
    for node in resolution.nodes:
        failure = obstacle(node.snapshot, resolution.environment, whole_disk=spec.whole_disk)
        if failure is None and node.snapshot is not None and node.snapshot.cluster not in resolution.profiles:
            text = f"its cluster {node.snapshot.cluster} has no profile"
            failure = Failure(reason=FailureReason.UNKNOWN_NODE, description=text)
        if failure is not None:
            left_out[node.name] = failure
    spec = replace(spec, boot_method=_boot_method(spec, resolution, left_out))
    _check_possible(spec, resolution)
    prepared = Prepared(
        owner=owner,
        needs_right=needs_right,
        spec=spec,
        resolution=resolution,
        left_out=left_out,
    )
    if spec.whole_disk:
        missing = await find_missing_rights(prepared.rights_query, list(prepared.included), inventory=inventory)
        if missing:
            raise RightMissing(owner, sorted(missing))
    return prepared


def _boot_method(spec: DeploymentSpec, resolution: Resolution, left_out: Mapping[str, Failure]) -> BootMethod:
    """Returns how the new system boots, on all nodes alike. Raises InvalidDeployment when their clusters differ."""
    clusters = {node.snapshot.cluster for node in resolution.nodes if node.snapshot and node.name not in left_out}
    defaults = {name: resolution.profiles[name].boot_method for name in sorted(clusters)}
    methods = {
        boot_choice.chosen(spec.boot_method, resolution.environment, default=default)
        for default in defaults.values() or [BootMethod.NETWORK]
    }
    if len(methods) > 1:
        words = ", ".join(f"{default} in {name}" for name, default in defaults.items())
        text = f"is not the same by default on all nodes ({words}): name one"
        raise InvalidDeployment([FieldViolation(field="spec.boot_method", description=text)])
    return methods.pop()


def _check_possible(spec: DeploymentSpec, resolution: Resolution) -> None:
    """`spec`: with its boot method."""
    found = impossible(spec, resolution.environment)
    if found is not None:
        text = f"cannot be {spec.boot_method}: {found.text}" if found.field == "boot_method" else found.text
        raise InvalidDeployment([FieldViolation(field=f"spec.{found.field}", description=text)])


def _check(spec: DeploymentSpec, longest_wait: float, *, described: bool) -> None:
    found: list[FieldViolation] = []

    def must(holds: bool, field: str, description: str) -> None:
        if not holds:
            found.append(FieldViolation(field=f"spec.{field}", description=description))

    must(bool(spec.environment_name or described), "environment_name", "names no environment")
    must(not (spec.environment_name and described), "environment_name", "is named beside a described one")
    must((spec.environment_version or 1) > 0, "environment_version", "must be positive")
    must(spec.partition >= 0, "partition", "must not be negative")
    must("/" not in spec.device, "device", 'is written without "/dev/": vda, nvme0n1')
    must(
        0 <= spec.wait_timeout <= longest_wait,
        "wait_timeout",
        f"must be between 0 and {longest_wait:.0f} s, the longest wait that this site allows",
    )
    for field, timeout in (
        ("first_check_timeout", spec.first_check_timeout),
        ("last_check_timeout", spec.last_check_timeout),
    ):
        must(timeout is None or timeout > 0, field, "must be positive")
    must(not set(spec.kernel_arguments) & set("\n\r\0"), "kernel_arguments", "must be one line")
    must(
        all(key.strip() and not set(key) & set("\n\r\0") for key in spec.authorized_keys),
        "authorized_keys",
        "must be one public key a line",
    )
    if spec.cloud_init is not None:
        seed = spec.cloud_init
        must(bool(seed.user_data or seed.meta_data or seed.network_config), "cloud_init", "has nothing in it")
        for text in (seed.user_data, seed.meta_data, seed.network_config):
            must("\0" not in text, "cloud_init", "must be text without zero bytes")
    if found:
        raise InvalidDeployment(found)
