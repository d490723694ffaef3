"""What a deployment says when a file is no longer the one that was registered: the command that accepts the new one."""

import shlex

from kadeploy_deployer.domain.outcome import StepFailed
from kadeploy_deployer.domain.snapshot import FileSnapshot
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.ports import DigestDiffers
from kadeploy_deployer.steps.step import StepContext


def file_changed(context: StepContext, file: FileSnapshot, error: DigestDiffers) -> StepFailed:
    """Returns the failure of a node; trying again cannot help."""
    description = f"`{_command(context, file)}` accepts that {error}"
    return StepFailed(FailureReason.DIGEST_MISMATCH, description, retriable=False)


def _command(context: StepContext, file: FileSnapshot) -> str:
    environment = context.environment
    if environment.described:
        return "kadeploy -a FILE"
    archives = [*environment.postinstalls, *([environment.preinstall] if environment.preinstall else [])]
    if file in (environment.image, *(archive.file for archive in archives)):
        words = [environment.name, "--env-version", str(environment.version), "--owner", environment.owner]
        return shlex.join(["ka", "environment", "update", *words, "--accept-digest"])
    clusters = sorted({node.cluster for node in context.nodes.values()})
    return f"ka cluster update {' or '.join(clusters)} --profile FILE, with the archive in it"
