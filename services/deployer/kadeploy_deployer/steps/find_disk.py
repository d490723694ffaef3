"""Step: finds the target's disk among those of the node. Nothing was written to it before."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from typing_extensions import override

from kadeploy_deployer.domain.disk_match import NoSuchDisk, PresentDisk, find_disk, in_words
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.outcome import StepFailed
from kadeploy_deployer.domain.snapshot import DiskIdentity, partition_name
from kadeploy_deployer.domain.states import FailureReason, PartitionState
from kadeploy_deployer.nodes.command_result import last_words
from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.nodes.probe import look
from kadeploy_deployer.steps.deployment_shell import try_command, working_host
from kadeploy_deployer.steps.mounts import is_on_disk
from kadeploy_deployer.steps.step import Step, StepContext

PROGRAM = "kadeploy-hardware"
"""Part of our deployment environment; one that was built earlier lacks it."""
PROGRAM_SECONDS = 90.0
NO_SUCH_PROGRAM = 127
MOST_DISKS = 4096


class FindDisk(Step):
    """See the module. What it learns is good until the node boots again."""

    name = "find_disk"
    partition_state = PartitionState.DEPLOYING
    timeout = 180.0
    failure_reason = FailureReason.DISK_NOT_FOUND
    retries = 1

    @override
    def applies(self, context: StepContext, node: str) -> bool:
        return True

    @override
    def describe(self, context: StepContext, node: str) -> Sequence[str]:
        machine, identity = context.nodes[node], _identity(context, node)
        if identity == DiskIdentity():
            return [f"check that it has a disk {machine.device}"]
        return [f"look for the one disk with {in_words(identity)}, here called {machine.device}"]

    @override
    async def run(self, context: StepContext, node: str) -> NodeFacts:
        found = await _find(context, node)
        if context.spec.use_production_system and _identity(context, node) != DiskIdentity():
            await _refuse_its_root(context, node, found)
        return replace(context.facts[node], disk=found)


async def check_disk(context: StepContext, node: str) -> None:
    """Makes sure, right before the node's disk is written, that it still has the name that was found.

    Raises:
        StepFailed: another disk has the name now, or none.
        NodeFailed, ShellError: nobody can say.
    """
    known = context.facts[node].disk
    if known and _identity(context, node) != DiskIdentity() and (now := await _find(context, node)) != known:
        raise StepFailed(
            FailureReason.DISK_NOT_FOUND,
            f"the disk {context.nodes[node].device} was {known} and is {now}: the node has booted since, so nothing "
            f"was written; deploy again",
            retriable=False,
        )


async def _refuse_its_root(context: StepContext, node: str, found: str) -> None:
    """Raises StepFailed if the system that the node is deployed from lies where the deployment would write."""
    machine = context.nodes[node]
    target = partition_name(found, machine.partition)
    running = await look(context.ports.shell, working_host(context, node), device=target, timeout=PROGRAM_SECONDS)
    spec = context.spec
    writes_disk = spec.whole_disk or spec.write_partition_table or context.profile(node).partition_on_deploy
    if running.root_is_device or (writes_disk and is_on_disk(running.root_source, f"/dev/{found}")):
        raise StepFailed(
            FailureReason.DISK_NOT_FOUND,
            f"it runs from {running.root_source}, which the deployment would overwrite; deploy without -u",
            retriable=False,
        )


async def _find(context: StepContext, node: str) -> str:
    """Returns the name of the device file of the target's disk."""
    device, identity = context.nodes[node].device, _identity(context, node)
    result = await try_command(context, node, (PROGRAM, "disks"), timeout=PROGRAM_SECONDS)
    if result.exit_status == NO_SUCH_PROGRAM:
        where = "the system that it runs" if context.spec.use_production_system else "its deployment environment"
        if identity != DiskIdentity():
            advice = "deploy without -u" if context.spec.use_production_system else "build it anew"
            raise StepFailed(
                FailureReason.DISK_NOT_FOUND,
                f"{where} has no {PROGRAM}, so nothing can tell which disk has {in_words(identity)}; {advice}",
                retriable=False,
            )
        await context.recorder.remark(node, f"{where} has no {PROGRAM}: the disk is taken to be {device}")
        return device
    if result.exit_status:
        raise NodeFailed(f"listing the disks of {node} failed: {last_words(result)}")
    try:
        return find_disk(device, identity, read_disks(result.stdout)).name
    except NoSuchDisk as problem:
        raise NodeFailed(str(problem)) from problem


def read_disks(text: str) -> tuple[PresentDisk, ...]:
    """Returns the disks that a node lists. Raises NodeFailed if the text is no such list."""
    try:
        return disks_of(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NodeFailed(f"its list of disks makes no sense: {text[:100]!r}") from error


def disks_of(listed: Any) -> tuple[PresentDisk, ...]:
    """Returns the disks of a list. Raises ValueError, KeyError, TypeError or AttributeError if it is none of disks."""
    return tuple(
        PresentDisk(
            name=str(disk["name"]),
            size_bytes=int(disk["size_bytes"]),
            serial=str(disk["serial"]),
            wwn=str(disk["wwn"]),
            model=str(disk.get("model", "")),
            transport=str(disk.get("transport", "")),
            removable=bool(disk.get("removable")),
            links=tuple(str(link) for link in disk["links"]),
        )
        for disk in listed[:MOST_DISKS]
    )


def _identity(context: StepContext, node: str) -> DiskIdentity:
    disk = context.nodes[node].disk
    return disk.identity if disk else DiskIdentity()


FIND_DISK = FindDisk()
