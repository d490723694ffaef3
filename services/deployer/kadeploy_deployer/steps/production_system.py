"""Deploying from the system that a node runs, without the first reboot.

The node keeps its users until the last reboot, so everything that could cut the branch it sits on is refused: the
target must not be its root, nor may its root's disk get a new partition table. The system has to prove itself (we
deployed it, so its host keys are known) and to have the programs that the steps use.
"""

from collections.abc import Mapping
from typing import Final

from kadeploy_deployer.domain.vocabulary import Compression, ImageKind
from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.nodes.probe import DISTRUSTED, Running, look
from kadeploy_deployer.ports import ShellHost
from kadeploy_deployer.steps.deployment_shell import command
from kadeploy_deployer.steps.mounts import DESTINATION, is_on_disk
from kadeploy_deployer.steps.partition import writes_table
from kadeploy_deployer.steps.script_variables import DIRECTORY
from kadeploy_deployer.steps.step import StepContext

BROADCAST_PROGRAM = "/usr/bin/kabroadcast"
UNPACKERS: Final[Mapping[Compression, str]] = {
    Compression.GZIP: "gzip",
    Compression.BZIP2: "bzip2",
    Compression.XZ: "xz",
    Compression.ZSTD: "zstd",
}

_MISSING = 'for program; do command -v "$program" >/dev/null || printf "%s\\n" "$program"; done'


async def take_over(context: StepContext, node: str, *, timeout: float) -> Running:
    """Returns what runs on a node, when that system can be deployed from.

    Raises:
        ShellError: it does not answer, or another system does.
        NodeFailed: it must not be deployed from, or lacks something.
    """
    machine, keys = context.nodes[node], context.facts[node].previous_host_keys
    if not keys:
        raise NodeFailed("the system that it runs was not deployed by us, so nothing could prove it; deploy without -u")
    target = machine.partition_device(machine.partition)
    host = ShellHost(name=node, address=machine.ip_address, host_keys=keys)
    running = await look(context.ports.shell, host, device=target.removeprefix("/dev/"), timeout=timeout)
    if running.root_is_device:
        raise NodeFailed(f"it runs from {target}, which is the target; deploy without -u")
    if running.marker.get(DISTRUSTED):
        raise NodeFailed("the system that it runs is recorded as destructive, so it is not trusted; deploy without -u")
    disk = machine.disk_device
    if running.root_source == "/dev/root" or is_on_disk(running.root_source, disk):
        if writes_table(context, node):
            raise NodeFailed(f"it runs from {running.root_source}, so the table of {disk} cannot be written under it")
        if context.spec.whole_disk:
            raise NodeFailed(f"it runs from {running.root_source}, so {disk} cannot be overwritten under it")
    programs = needed_programs(context, node)
    arguments = ("sh", "-c", _MISSING, "missing", *programs)
    missing = (await command(context, node, arguments, what="looking for programs")).split()
    if missing:
        raise NodeFailed(f"its system lacks {', '.join(missing)}; install what is missing or deploy without -u")
    await command(context, node, ("mkdir", "-p", DESTINATION, DIRECTORY), what="making directories")
    return running


def needed_programs(context: StepContext, node: str) -> tuple[str, ...]:
    """Returns the programs that a running system must have."""
    environment = context.environment
    programs = ["blockdev", "mount", "umount", "tar", "python3", BROADCAST_PROGRAM]
    if writes_table(context, node):
        programs += ["sfdisk", "mkswap"]
    if environment.kind is ImageKind.TAR:
        programs.append(f"mkfs.{environment.file_system}")
    if context.spec.reformat_tmp:
        programs.append(f"mkfs.{context.spec.reformat_tmp}")
    if unpacker := UNPACKERS.get(environment.image.compression):
        programs.append(unpacker)
    return tuple(dict.fromkeys(programs))
