"""The files of an environment, looked at before anything is touched: the plan, creation and the first step ask here."""

from collections.abc import Iterable
from dataclasses import dataclass

from kadeploy_deployer.domain import boot_choice
from kadeploy_deployer.domain.outcome import StepFailed
from kadeploy_deployer.domain.snapshot import ArchiveSnapshot, EnvironmentSnapshot, FileSnapshot
from kadeploy_deployer.domain.states import BootMethod, FailureReason
from kadeploy_deployer.domain.vocabulary import ImageKind
from kadeploy_deployer.nodes.time_limit import waiting_for_turn
from kadeploy_deployer.ports import DigestDiffers, ImageError, ImageStore
from kadeploy_deployer.steps.changed_file import file_changed
from kadeploy_deployer.steps.step import StepContext


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusableFile:
    """A file that cannot be used, and why. `reason`: of a node that needs it."""

    file: FileSnapshot
    reason: FailureReason
    error: ImageError


async def unusable_file(
    environment: EnvironmentSnapshot,
    *,
    method: BootMethod | None,
    preinstalls: Iterable[ArchiveSnapshot],
    images: ImageStore,
    user: str,
) -> UnusableFile | None:
    """Reads the files that a deployment needs, and returns the first that it cannot use.

    Args:
        environment: what is deployed.
        method: how it boots.
        preinstalls: the archives that run before.
        images: brings them.
        user: for whom.
    """
    image = environment.image
    wanted = [(image, FailureReason.TRANSFER_FAILED)]
    wanted += [(archive.file, FailureReason.PREINSTALL_FAILED) for archive in preinstalls]
    wanted += [(archive.file, FailureReason.POSTINSTALL_FAILED) for archive in environment.postinstalls]
    for file, reason in wanted:
        try:
            async with images.fetch(file, user=user):
                pass
        except ImageError as error:
            return UnusableFile(file=file, reason=reason, error=error)
    if boot_choice.needs_files(method, environment) or _names_kernel(method, environment):
        try:
            await images.boot_files(environment, user=user)
        except ImageError as error:
            return UnusableFile(file=image, reason=FailureReason.BOOT_FILES_FAILED, error=error)
    return None


def _names_kernel(method: BootMethod | None, environment: EnvironmentSnapshot) -> bool:
    """Returns whether a kernel has to be in an archive, though its nodes read it from their disks."""
    unpacked = environment.kind is ImageKind.TAR and bool(environment.kernel_path)
    return unpacked and not boot_choice.chainloads(method, environment)


def preinstall_of(context: StepContext, node: str) -> ArchiveSnapshot | None:
    """Returns the archive that runs on a node before all else: the environment's, or else its cluster's."""
    return context.environment.preinstall or context.profile(node).preinstall


async def check_files(context: StepContext, node: str) -> None:
    """Raises StepFailed when a file that a node needs cannot be used. Reading them does not count for the timeout."""
    archive = preinstall_of(context, node)
    with waiting_for_turn():
        found = await unusable_file(
            context.environment,
            method=context.spec.boot_method,
            preinstalls=[archive] if archive else [],
            images=context.ports.images,
            user=context.owner,
        )
    if found is None:
        return
    if isinstance(found.error, DigestDiffers):
        raise file_changed(context, found.file, found.error) from found.error
    raise StepFailed(found.reason, str(found.error), retriable=False) from found.error
