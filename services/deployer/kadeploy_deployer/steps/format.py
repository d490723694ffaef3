"""Step: makes sure that the target is there and large enough, and makes the file systems."""

from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import override

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.feasibility import unmakeable
from kadeploy_deployer.domain.outcome import StepFailed
from kadeploy_deployer.domain.states import FailureReason, PartitionState
from kadeploy_deployer.domain.vocabulary import ImageKind, PartitionRole
from kadeploy_deployer.nodes.command_result import last_words
from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.steps.deployment_shell import command, try_command
from kadeploy_deployer.steps.find_disk import check_disk
from kadeploy_deployer.steps.mounts import let_go, target_device
from kadeploy_deployer.steps.partition import release_disk, writes_table
from kadeploy_deployer.steps.partition_uuid import read_partition_uuid
from kadeploy_deployer.steps.step import Step, StepContext

MKFS_OPTIONS = {
    "ext2": ("-F", "-q"),
    "ext3": ("-F", "-q"),
    "ext4": ("-F", "-q"),
    "xfs": ("-f", "-q"),
    "btrfs": ("-f", "-q"),
    "vfat": (),
}
"""The file systems of `domain.feasibility.MAKEABLE`, with the options that keep mkfs from asking."""


class Format(Step):
    """See the module. A raw image brings its own file system; for it the target is only looked at."""

    name = "format"
    partition_state = PartitionState.DEPLOYING
    timeout = 600.0
    failure_reason = FailureReason.FORMAT_FAILED
    retries = 1

    @override
    def applies(self, context: StepContext, node: str) -> bool:
        return True

    @override
    def describe(self, context: StepContext, node: str) -> Sequence[str]:
        needed = context.environment.required_size_bytes
        target = target_device(context, node)
        check = [f"check that {target} has at least {needed:,} bytes"] if needed else [f"check that {target} exists"]
        return check + [f"run {' '.join(arguments)}" for _, arguments in _commands(context, node)]

    @override
    async def run(self, context: StepContext, node: str) -> NodeFacts:
        await _format(context, node)
        if context.spec.whole_disk:
            # The table comes with the image.
            return context.facts[node]
        return replace(context.facts[node], partition_uuid=await read_partition_uuid(context, node))


async def _format(context: StepContext, node: str) -> None:
    await check_disk(context, node)
    environment, target = context.environment, target_device(context, node)
    result = await try_command(context, node, ("blockdev", "--getsize64", target))
    if result.exit_status:
        table = "" if writes_table(context, node) else "; was the partition table ever written?"
        raise NodeFailed(f"{node} has no {target}: {last_words(result)}{table}")
    size = int(result.stdout.split()[0])
    if size < environment.required_size_bytes:
        raise StepFailed(
            FailureReason.PARTITION_TOO_SMALL,
            f"{target} of {node} has {size:,} bytes, and {environment.name} needs {environment.required_size_bytes:,}",
            retriable=False,
        )
    if environment.kind is ImageKind.TAR and environment.file_system not in MKFS_OPTIONS:
        raise StepFailed(
            FailureReason.FORMAT_FAILED,
            unmakeable(environment.file_system),
            retriable=False,
        )
    commands = _commands(context, node)
    await let_go(context, node, [target, *(device for device, _ in commands)])
    if context.spec.whole_disk:
        await release_disk(context, node, target)
    for device, arguments in commands:
        what = f"{arguments[0]} of {device}"
        await command(context, node, arguments, what=what, timeout=context.timeout)


def _commands(context: StepContext, node: str) -> list[tuple[str, tuple[str, ...]]]:
    """Returns each device with the command that makes it anew; the target first."""
    machine, made = context.nodes[node], list[tuple[str, tuple[str, ...]]]()
    if context.spec.whole_disk:
        return made
    if context.environment.kind is ImageKind.TAR:
        made.append(_mkfs(context, node, context.environment.file_system, machine.partition))
    for part in machine.disk.partitions if machine.disk else ():
        if part.number == machine.partition:
            continue
        if part.role is PartitionRole.SWAP and writes_table(context, node):
            device = machine.partition_device(part.number)
            made.append((device, ("mkswap", device)))
        if part.role is PartitionRole.TMP and context.spec.reformat_tmp:
            made.append(_mkfs(context, node, context.spec.reformat_tmp, part.number))
    return made


def _mkfs(context: StepContext, node: str, file_system: str, number: int) -> tuple[str, tuple[str, ...]]:
    device = context.nodes[node].partition_device(number)
    # Split at blanks as the contract says; no shell ever sees them.
    wanted = context.profile(node).mkfs_options.get(file_system, "").split()
    return device, (f"mkfs.{file_system}", *MKFS_OPTIONS.get(file_system, ()), *wanted, device)


FORMAT = Format()
