"""Step: writes the partition table of the inventory. Everything on the disk is lost."""

from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import override

from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.outcome import StepFailed
from kadeploy_deployer.domain.snapshot import DiskSnapshot
from kadeploy_deployer.domain.states import FailureReason, PartitionState
from kadeploy_deployer.nodes.command_result import last_words
from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.steps.deployment_shell import command, try_command
from kadeploy_deployer.steps.find_disk import check_disk
from kadeploy_deployer.steps.mounts import let_go
from kadeploy_deployer.steps.partition_table import TableDoesNotFit, sfdisk_script
from kadeploy_deployer.steps.step import Step, StepContext

SFDISK_SECONDS = 120.0
RELEASE = "kadeploy-release-disk"
"""Part of our deployment environment; one that was built earlier lacks it."""
RELEASE_SECONDS = 120.0
NO_SUCH_PROGRAM = 127
DEVICES_TRIES = 20
DEVICES_PAUSE = 0.5


class Partition(Step):
    """See the module. Applies when the request asks for it, or the profile does for each of its deployments."""

    name = "partition"
    partition_state = PartitionState.DEPLOYING
    timeout = 300.0
    failure_reason = FailureReason.PARTITIONING_FAILED
    retries = 1

    @override
    def applies(self, context: StepContext, node: str) -> bool:
        return writes_table(context, node)

    @override
    def describe(self, context: StepContext, node: str) -> Sequence[str]:
        disk = context.nodes[node].disk
        if disk is None:
            return [f"nothing, and fail: {_no_disk(context, node)}"]
        try:
            script = _script(context, node, disk, disk_bytes=disk.size_bytes)
        except TableDoesNotFit as problem:
            return [f"nothing, and fail: {problem}"]
        table = [line for line in script.splitlines() if " : " in line]
        return [
            f"end what holds {context.nodes[node].disk_device} (mounts, swap, LVM, arrays)",
            f"erase everything on {context.nodes[node].disk_device}",
            f"write a new {disk.partition_table} table",
            *table,
        ]

    @override
    async def run(self, context: StepContext, node: str) -> NodeFacts:
        await _write(context, node)
        return context.facts[node]


def writes_table(context: StepContext, node: str) -> bool:
    """Returns whether this deployment writes the table of a node's disk."""
    if context.spec.whole_disk:
        return False
    return context.spec.write_partition_table or context.profile(node).partition_on_deploy


async def _write(context: StepContext, node: str) -> None:
    disk = context.nodes[node].disk
    if disk is None:
        raise NodeFailed(_no_disk(context, node))
    await check_disk(context, node)
    device = context.nodes[node].disk_device
    sizes = await command(
        context, node, ("blockdev", "--getsize64", "--getss", device), what=f"asking for the size of {device}"
    )
    disk_bytes, sector_bytes = (int(word) for word in sizes.split())
    try:
        script = _script(context, node, disk, disk_bytes=disk_bytes, sector_bytes=sector_bytes)
    except TableDoesNotFit as problem:
        raise StepFailed(FailureReason.PARTITION_TOO_SMALL, f"{node}: {problem}", retriable=False) from problem
    await let_go(context, node, [device])
    await release_disk(context, node, device)
    arguments = ("sfdisk", "--wipe", "always", "--wipe-partitions", "always", device)
    what = f"writing the partition table of {device}"
    await command(context, node, arguments, what=what, timeout=SFDISK_SECONDS, stdin=script.encode())
    devices = [context.nodes[node].partition_device(part.number) for part in disk.partitions]
    await wait_for_devices(context, node, device, devices)


def _no_disk(context: StepContext, node: str) -> str:
    return f"the inventory has no disk {context.nodes[node].device} on {node}"


async def release_disk(context: StepContext, node: str, device: str) -> None:
    """Ends what holds the disk besides mounts and swap (LVM, arrays, LUKS), and wipes what older systems left on it."""
    result = await try_command(context, node, (RELEASE, device), timeout=RELEASE_SECONDS)
    if result.exit_status == NO_SUCH_PROGRAM:
        await context.recorder.remark(node, f"its deployment environment has no {RELEASE}: build it anew")
    elif result.exit_status:
        raise NodeFailed(f"releasing {device} on {node} failed: {last_words(result)}")


def _script(context: StepContext, node: str, disk: DiskSnapshot, *, disk_bytes: int, sector_bytes: int = 512) -> str:
    type_ids = {context.nodes[node].partition: context.environment.partition_type_id}
    return sfdisk_script(
        replace(disk, device=context.nodes[node].disk_device.removeprefix("/dev/")),
        disk_bytes=disk_bytes,
        sector_bytes=sector_bytes,
        type_ids=type_ids,
    )


async def wait_for_devices(context: StepContext, node: str, disk: str, devices: Sequence[str]) -> None:
    """Returns when the kernel has the partitions of a new table. Raises NodeFailed."""
    for _ in range(DEVICES_TRIES):
        result = await try_command(context, node, ("blockdev", "--getsize64", *devices))
        if result.exit_status == 0:
            return
        await context.ports.clock.sleep(DEVICES_PAUSE)
    raise NodeFailed(f"the new partitions of {disk} did not appear on {node}: {result.stderr.strip()}")


PARTITION = Partition()
