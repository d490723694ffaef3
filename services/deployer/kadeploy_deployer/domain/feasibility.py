"""What keeps a whole deployment from succeeding, known from its request and its environment alone.

Plan, creation and the first step ask here, so that none of them says more or less than the others.
"""

from dataclasses import dataclass

from kadeploy_deployer.domain import boot_choice
from kadeploy_deployer.domain.snapshot import DeploymentSpec, EnvironmentSnapshot
from kadeploy_deployer.domain.vocabulary import ImageKind

MAKEABLE = ("ext2", "ext3", "ext4", "xfs", "btrfs", "vfat")
"""File systems that the deployment environment can make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Why it cannot succeed. `field`: of the request's `spec`, the one to change; `text`: one sentence."""

    field: str
    text: str


def impossible(spec: DeploymentSpec, environment: EnvironmentSnapshot) -> Obstacle | None:
    """Returns why a deployment cannot succeed, None if nothing speaks against it. `spec`: with its boot method."""
    return _disk_obstacle(spec, environment) or _boot_obstacle(spec, environment) or _format_obstacle(spec, environment)


def _boot_obstacle(spec: DeploymentSpec, environment: EnvironmentSnapshot) -> Obstacle | None:
    method = spec.boot_method
    if problem := boot_choice.impossible(method, environment):
        return Obstacle(field="boot_method", text=problem)
    if spec.use_production_system and environment.running_system_refused:
        text = f"{environment.name} is never deployed from the running system (options.trust_previous_env: false)"
        return Obstacle(field="use_production_system", text=text)
    if boot_choice.chainloads(method, environment) and spec.kernel_arguments:
        text = "kernel arguments mean nothing by chainload: the partition's own loader decides"
        return Obstacle(field="kernel_arguments", text=text)
    return None


def _format_obstacle(spec: DeploymentSpec, environment: EnvironmentSnapshot) -> Obstacle | None:
    if spec.cloud_init is not None and boot_choice.is_opaque(environment):
        text = f"nothing can be written into {environment.name}, whose file system nothing here can read"
        return Obstacle(field="cloud_init", text=text)
    if environment.kind is ImageKind.TAR and environment.file_system not in MAKEABLE:
        return Obstacle(field="environment_name", text=f"{environment.name}: {unmakeable(environment.file_system)}")
    if spec.reformat_tmp and spec.reformat_tmp not in MAKEABLE:
        return Obstacle(field="reformat_tmp", text=unmakeable(spec.reformat_tmp))
    return None


def _disk_obstacle(spec: DeploymentSpec, environment: EnvironmentSnapshot) -> Obstacle | None:
    name, place = environment.name, environment.system_partition
    if environment.whole_disk is not spec.whole_disk:
        wanted = "is an image of a whole disk: ask for the whole disk, on which everything is lost then"
        text = wanted if environment.whole_disk else "is no image of a whole disk: name a partition for it"
        return Obstacle(field="whole_disk", text=f"{name} {text}")
    if not spec.whole_disk:
        return None
    found = {
        "write_partition_table": spec.write_partition_table and f"{name} brings the table of the whole disk itself",
        "reformat_tmp": spec.reformat_tmp and f"{name} overwrites the whole disk: no other partition is left then",
        "partition": place and place != spec.partition and f"is not {place}, on which {name} has its system",
    }
    return next((Obstacle(field=field, text=text) for field, text in found.items() if text), None)


def unmakeable(file_system: str) -> str:
    """Returns a sentence that says that nobody can make a file system."""
    return f"the deployment environment cannot make a file system {file_system!r}; it can make {', '.join(MAKEABLE)}"
