"""Rebooting nodes outside of a deployment: what they boot is said first, and what came up is proved afterwards."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kadeploy_deployer.domain.control_errors import BootFilesFailed, InvalidControl, NothingDeployedThere
from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.domain.states import BootMethod, RebootLevel
from kadeploy_deployer.engine.batching_boot import BatchingBoot
from kadeploy_deployer.engine.operation import RunningOperation, on_each, with_locks
from kadeploy_deployer.engine.operation_request import OperationRequest, Tell
from kadeploy_deployer.engine.rights import RightsGuard
from kadeploy_deployer.engine.shared_images import SharedImages
from kadeploy_deployer.ports import BootError, ImageError
from kadeploy_deployer.ports.operation_store import DeployedSystem, NodeKnowledge
from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_deployer.requests.node_access import (
    AllowedNodes,
    ControlParts,
    allowed_nodes,
    make_guard,
    must_have_right,
)
from kadeploy_deployer.requests.reboot_proof import RebootedNode, RebootMark, reboot_and_prove
from kadeploy_deployer.requests.reboot_targets import (
    DeployedEnvironment,
    DeployedPartition,
    DeploymentKernel,
    PresentEntry,
    Target,
    boot_contexts,
    chosen_system,
    deployment_kernel_targets,
    in_words,
    new_token,
    on_its_partition,
)
from kadeploy_deployer.steps.boot_files import prepare_boot
from kadeploy_deployer.steps.feasibility import chainloads, impossible
from kadeploy_deployer.steps.step import StepContext
from kadeploy_edge.errors import DomainError

TO = "reboot"
MANY = 100_000
"""Most of a reboot is waiting, and the window bounds how many go down at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RebootRequest:
    """What is asked for.

    Attributes:
        nodes: a node set.
        target: what they boot.
        level: this one way to reboot and no other; None: the cluster's ladder.
        prepare_only: write the boot files and leave the nodes as they are.
        kernel_arguments: instead of those that the target has.
        boot_method: of a deployed system; None: as it was deployed.
    """

    nodes: str
    target: Target
    level: RebootLevel | None = None
    prepare_only: bool = False
    kernel_arguments: str = ""
    boot_method: BootMethod | None = None


async def reboot_nodes(
    wanted: RebootRequest, *, actor: Actor, parts: ControlParts, request: OperationRequest, tell: Tell
) -> None:
    """Reboots nodes and tells what became of each.

    Raises:
        InvalidNodeSet, InvalidControl: it can never be done.
        RightMissing: on some node, or on the partition that is to be booted.
        NothingDeployedThere: on none of the nodes.
        AskedBefore: the request has an operation already.
    """
    _check(wanted)
    target = wanted.target
    of_partition = target if isinstance(target, DeployedPartition) else DeployedPartition()
    allowed = await allowed_nodes(
        wanted.nodes,
        actor=actor,
        inventory=parts.inventory,
        device=of_partition.device,
        partition=of_partition.partition,
        to=TO,
    )
    known = await parts.lease_holder.store.knowledge(list(allowed.nodes))
    systems: dict[str, DeployedSystem] = {}
    lacking: dict[str, DomainError] = {}
    partitions: dict[str, str] = {}
    if isinstance(target, DeployedEnvironment | DeployedPartition):
        if isinstance(target, DeployedPartition):
            # The right is asked for before anything is said of what lies there.
            await _check_partitions(allowed.nodes, actor, parts)
        for name, machine in allowed.nodes.items():
            system = chosen_system(target, machine, known[name])
            if system is None:
                lacking[name] = NothingDeployedThere(name, in_words(target, machine))
            else:
                systems[name] = system
        if allowed.nodes and not systems:
            raise next(iter(lacking.values()))
        here = {name: on_its_partition(allowed.nodes[name], system) for name, system in systems.items()}
        await _check_partitions(here, actor, parts)
        partitions = {name: machine.target_word for name, machine in here.items()}
    job = _Reboot(
        owner=actor.user,
        wanted=wanted,
        allowed=allowed,
        known=known,
        systems=systems,
        parts=parts,
        guard=make_guard(parts, actor, to=TO, partitions=partitions),
    )
    await with_locks(
        parts.lease_holder,
        kind="reboot",
        request=request,
        nodes=[name for name in allowed.nodes if name not in lacking],
        refused={**allowed.refused, **lacking},
        work=job.run,
        tell=tell,
    )


def _check(wanted: RebootRequest) -> None:
    if set(wanted.kernel_arguments) & set("\n\r\0"):
        raise InvalidControl("kernel_arguments", "must be one line")
    if isinstance(wanted.target, PresentEntry) and wanted.prepare_only:
        raise InvalidControl("prepare_only", "has nothing to prepare: a simple reboot boots what the entry says")
    if isinstance(wanted.target, PresentEntry) and wanted.kernel_arguments:
        raise InvalidControl("kernel_arguments", "cannot be given for a simple reboot; name what is to be booted")
    if isinstance(wanted.target, DeployedEnvironment) and not wanted.target.name:
        raise InvalidControl("environment.name", "names no environment")
    if wanted.boot_method and not isinstance(wanted.target, DeployedEnvironment | DeployedPartition):
        raise InvalidControl("boot_method", "is for a deployed system alone; name its environment or partition")
    if wanted.boot_method is BootMethod.KEXEC:
        raise InvalidControl("boot_method", "cannot be kexec: only a deployment starts its system so")


async def _check_partitions(machines: Mapping[str, NodeSnapshot], actor: Actor, parts: ControlParts) -> None:
    """Raises RightMissing unless the caller has a right on the very partition of each node."""
    by_partition: dict[str, list[str]] = {}
    for name, machine in machines.items():
        by_partition.setdefault(machine.target_word, []).append(name)
    for word, names in by_partition.items():
        await must_have_right(
            names,
            actor=actor,
            inventory=parts.inventory,
            partitions=dict.fromkeys(names, word),
            to=f"boot partition {word} of",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reboot:
    """A reboot whose nodes are known and allowed."""

    owner: str
    wanted: RebootRequest
    allowed: AllowedNodes
    known: Mapping[str, NodeKnowledge]
    systems: Mapping[str, DeployedSystem]
    parts: ControlParts
    guard: RightsGuard

    async def run(self, held: RunningOperation, nodes: Sequence[str]) -> None:
        """Writes the boot files and reboots the nodes, which are held by the operation."""
        refused = await self.guard.find_refusals(nodes)
        await asyncio.gather(*(held.tell(node, error) for node, error in refused.items()))
        nodes = [node for node in nodes if node not in refused]
        if not nodes:
            return
        begun = {node: RebootMark.of(held.marks[node]) for node in nodes if node in held.marks}
        tokens = {node: begun[node].token if node in begun and begun[node].token else new_token() for node in nodes}
        images = SharedImages(self.parts.ports.images)
        ports = replace(self.parts.ports, boot=BatchingBoot(self.parts.ports.boot), images=images)
        contexts = boot_contexts(
            {node: self.systems[node] for node in nodes if node in self.systems},
            operation_id=held.id,
            owner=self.owner,
            allowed=self.allowed,
            tokens=tokens,
            kernel_arguments=self.wanted.kernel_arguments,
            boot_method=self.wanted.boot_method,
            parts=self.parts,
            ports=ports,
        )
        problems = await self._write_entries(held.id, nodes, tokens, contexts)
        for node, problem in problems.items():
            await held.tell(node, BootFilesFailed(problem, metadata={"node": node}))
        ready = [node for node in nodes if node not in problems]
        if self.wanted.prepare_only:
            for node in ready:
                await held.tell(node, None)
            return
        # A loader on the disk passes on no token; the marker in the system has to do.
        without_token = {node for context in contexts if chainloads(context) for node in context.nodes}

        async def one(node: str) -> None:
            machine = self.allowed.nodes[node]
            wanted = self._rebooted(node, "" if node in without_token else tokens[node], begun.get(node))
            window = self.parts.windows.of(machine.cluster, self.allowed.profiles[machine.cluster])

            async def go_down(mark: RebootMark) -> None:
                # A window may open long after the call was allowed.
                await self.guard.must_have(node)
                await held.begin(node, mark=mark.text)

            await reboot_and_prove(wanted, window=window, go_down=go_down, parts=self.parts)
            if node in self.systems:
                keys = self.systems[node].facts.host_keys
                await self.parts.lease_holder.store.note_running(held.id, node, keys)

        await on_each(ready, one, held.tell, at_once=MANY)

    async def _write_entries(
        self, operation_id: str, nodes: Sequence[str], tokens: Mapping[str, str], contexts: Sequence[StepContext]
    ) -> Mapping[str, str]:
        """Says what the nodes boot next and returns a sentence for each of which that could not be said."""
        problems: dict[str, str] = {}
        if isinstance(self.wanted.target, DeploymentKernel):
            targets = deployment_kernel_targets(
                self.wanted.target,
                nodes,
                allowed=self.allowed,
                tokens=tokens,
                kernel_arguments=self.wanted.kernel_arguments,
            )
            machines = {node: self.allowed.nodes[node] for node in nodes}
            try:
                problems.update(await self.parts.ports.boot.set_entries(targets, machines, owner=operation_id))
            except BootError as error:
                problems.update(dict.fromkeys(nodes, str(error)))
        for context in contexts:
            sentence = impossible(context)
            try:
                if not sentence:
                    names = list(context.nodes)
                    found = await asyncio.gather(*(prepare_boot(context, name) for name in names))
                    problems.update({name: text for name, text in zip(names, found, strict=True) if text})
            except (BootError, ImageError) as error:
                sentence = str(error)
            if sentence:
                problems.update(dict.fromkeys(context.nodes, sentence))
        return problems

    def _rebooted(self, node: str, token: str, begun: RebootMark | None) -> RebootedNode:
        machine = self.allowed.nodes[node]
        profile = self.allowed.profiles[machine.cluster]
        system = self.systems.get(node)
        to_deployment_kernel = isinstance(self.wanted.target, DeploymentKernel)
        return RebootedNode(
            machine=on_its_partition(machine, system) if system else machine,
            levels=(self.wanted.level,) if self.wanted.level else profile.reboot_ladder,
            switch_on=self.wanted.level is None,
            patience=profile.first_check_timeout if to_deployment_kernel else profile.last_check_timeout,
            known_host_keys=self.known[node].all_host_keys,
            system=system,
            token="" if isinstance(self.wanted.target, PresentEntry) else token,
            begun=begun,
        )
