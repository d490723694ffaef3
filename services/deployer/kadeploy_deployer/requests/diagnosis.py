"""Says why a node did not come: what its last deployment, the boot servers, its power and its ssh server show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kadeploy_deployer.domain.boot_diagnosis import (
    BootDiagnosis,
    BootFacts,
    BootRecord,
    clock_time,
    console_records,
    diagnose,
)
from kadeploy_deployer.domain.control_errors import InvalidControl, NodeNotFound
from kadeploy_deployer.domain.deployment import Deployment, NodeDeployment
from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.nodes.console_tail import read_lines
from kadeploy_deployer.nodes.ladder import Observation, try_look
from kadeploy_deployer.nodes.proof import name_of
from kadeploy_deployer.ports import PowerError, ShellHost
from kadeploy_deployer.ports.deployment_store import DeploymentStore
from kadeploy_deployer.ports.reading_store import ReadingStore
from kadeploy_deployer.ports.recorder import Recorder
from kadeploy_deployer.ports.step_ports import StepPorts
from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_deployer.requests.expansion import expand_aside
from kadeploy_deployer.requests.node_access import ControlParts, allowed_nodes
from kadeploy_deployer.steps.null_recorder import NullRecorder

TO = "ask about"
WITHOUT_DEPLOYMENT_SECONDS = 3600.0
"""How far back is looked for a node that was never deployed."""
LOOK_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDiagnosis:
    """What is known of a node.

    Attributes:
        boot: where its last boot broke, and the evidence.
        since: since when evidence was looked for.
        powered: whether it has power; None if nobody knows.
        seen: who answers on ssh, as a clause.
        answers: whether a system of ours answers.
        deployment: the last one that took the node; None if there is none.
        part: the node's part in it.
        problems: sentences on evidence that could not be had.
    """

    boot: BootDiagnosis
    since: float
    powered: bool | None
    seen: str
    answers: bool
    deployment: Deployment | None
    part: NodeDeployment | None
    problems: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What a look at one node takes. Implements `nodes.probe_context.ProbeContext`."""

    nodes: Mapping[str, NodeSnapshot]
    ports: StepPorts
    recorder: Recorder
    deployment_host_keys: tuple[str, ...]


async def diagnose_node(
    node: str, *, actor: Actor, parts: ControlParts, store: DeploymentStore, deployment_host_keys: tuple[str, ...]
) -> NodeDiagnosis:
    """Returns what is known of a node. Changes nothing.

    Args:
        node: its name.
        actor: who asks.
        parts: the world.
        store: knows the deployments.
        deployment_host_keys: public keys of the deployment environment's sshd.

    Raises:
        InvalidNodeSet, InvalidControl, NodeNotFound: not one node that is known.
        RightMissing: the actor has no right on it.
    """
    if len(await expand_aside(node)) != 1:
        raise InvalidControl("node", "must be one node")
    allowed = await allowed_nodes(node, actor=actor, inventory=parts.inventory, to=TO)
    for name in allowed.unknown:
        raise NodeNotFound(name)
    (machine,) = allowed.nodes.values()
    deployment, part = await _last_deployment(machine.name, store)
    since = _since(deployment, part, now=parts.ports.clock.now())
    log = await parts.ports.boot_watch.server_log(machine, since=since)
    console = await _console(deployment, machine.name, actor=actor, store=store)
    problems = list(log.problems)
    powered = await _power(machine, parts, problems)
    found = (
        await _look(machine, part, parts, deployment_host_keys)
        if powered is not False
        else Observation(seen="it has no power")
    )
    answers = found.arrived is not None
    facts = BootFacts(
        mac_address=machine.mac_address,
        since=since,
        records=[*log.records, *console],
        logs_read=bool(log.sources),
        unanswered=log.unanswered,
        powered=powered,
        seen=part.description if part is not None else found.seen,
        wrong=part is not None and part.reason is FailureReason.WRONG_SYSTEM_BOOTED,
    )
    boot = diagnose(facts)
    if answers:
        now = clock_time(parts.ports.clock.now())
        boot = BootDiagnosis(description=f"it answers on ssh at {now}: {found.seen}", records=boot.records)
    if not log.sources and not log.problems:
        problems.append("bootctl's settings name no logs of the boot servers (boot_logs)")
    return NodeDiagnosis(
        boot=boot,
        since=since,
        powered=powered,
        seen=found.seen,
        answers=answers,
        deployment=deployment,
        part=part,
        problems=problems,
    )


async def _last_deployment(node: str, store: ReadingStore) -> tuple[Deployment | None, NodeDeployment | None]:
    for row in await store.list_nodes([node], after=None, limit=1):
        if row.last_deployment_id:
            deployment = await store.get(row.last_deployment_id)
            return deployment, next((each for each in deployment.nodes if each.node == node), None)
    return None, None


def _since(deployment: Deployment | None, part: NodeDeployment | None, *, now: float) -> float:
    """Returns when the last boot began, as far as that is known."""
    if part is not None and part.step_start_time is not None:
        return part.step_start_time
    if part is not None and part.start_time is not None:
        return part.start_time
    return now - WITHOUT_DEPLOYMENT_SECONDS if deployment is None else deployment.create_time


async def _console(
    deployment: Deployment | None, node: str, *, actor: Actor, store: DeploymentStore
) -> list[BootRecord]:
    """Returns what the console said in the last deployment; it is its owner's and the administrators'."""
    if deployment is None or not (actor.is_administrator or actor.user == deployment.owner):
        return []
    outputs = await store.outputs(deployment.id, node, "")
    return [record for output in outputs for record in console_records(read_lines(output.text))]


async def _power(machine: NodeSnapshot, parts: ControlParts, problems: list[str]) -> bool | None:
    try:
        return await parts.ports.power.is_on(machine)
    except PowerError as error:
        problems.append(f"its power status is unknown: {error}")
        return None


async def _look(
    machine: NodeSnapshot, part: NodeDeployment | None, parts: ControlParts, deployment_host_keys: tuple[str, ...]
) -> Observation:
    """Logs in with all keys that are known of the node; `seen` says who answers."""
    keys = (*deployment_host_keys, *(part.facts.host_keys if part is not None else ()))
    host = ShellHost(name=machine.name, address=machine.ip_address, host_keys=keys)
    context = _Look(
        nodes={machine.name: machine},
        ports=parts.ports,
        recorder=NullRecorder(),
        deployment_host_keys=deployment_host_keys,
    )
    found = await try_look(context, host, timeout=LOOK_SECONDS)
    return found if isinstance(found, Observation) else Observation(arrived=found, seen=name_of(found))
