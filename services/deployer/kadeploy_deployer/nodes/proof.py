"""What should run on a node after a reboot, how it proves itself, and what a look at the node shows instead.

The boots of a deployment and the reboots outside of one are judged here alike: a system that is not the right one is
named, and one that has booted since is not waited for.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from kadeploy_deployer.nodes.ladder import Observation, try_look
from kadeploy_deployer.nodes.probe import NODE_ARGUMENT, PROOF, Running, argument, parse, question
from kadeploy_deployer.nodes.probe_context import ProbeContext
from kadeploy_deployer.ports import ShellError, ShellHost

WHO_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """What should run on a node.

    Attributes:
        host_keys: one of them proves it.
        secret: what its marker says as proof, so that a system with another host key can prove itself, together with
            all else that is awaited; empty: none can.
        other_keys: of other systems that may answer instead, so that they can be named.
        left: the boot id of what ran before the reboot, which cannot be it; empty: nobody knows.
        token: stands on its kernel's command line; empty: none does.
        marker: what its marker file says at least, and then its root is the target partition; empty: it has none.
        on_target: without a marker, too, its root is the target partition.
        any_key: a system whose key nobody knows is asked, and trusted if it proves all else that is awaited.
        booted_by: who gave the token, in sentences: "this deployment".
        written_by: who wrote the marker, in sentences: "deployment 20261122-abc".
    """

    host_keys: tuple[str, ...]
    secret: str = ""
    other_keys: tuple[str, ...] = ()
    left: str = ""
    token: str = ""
    marker: Mapping[str, str] = field(default_factory=dict)
    on_target: bool = False
    any_key: bool = False
    booted_by: str = "this deployment"
    written_by: str = "this deployment"


async def look_for(context: ProbeContext, node: str, awaited: Awaited, *, timeout: float) -> Observation:
    """Looks whether a node runs what it should, for at most the given number of seconds, and who else answers if not.

    What is found instead is `settled` when it has booted since, from a disk or as the deployment environment: it stays
    what it is. Before its disk is mounted, the right system may answer from its initial file system already.
    """
    found = await try_look(context, _host(context, node, awaited.host_keys), timeout=timeout)
    if isinstance(found, Running):
        problem = _difference(context, node, awaited, found)
        return _instead(awaited, found, problem) if problem else Observation(arrived=found)
    if not found.wrong:
        return found
    if awaited.other_keys:
        other = await try_look(context, _host(context, node, awaited.other_keys), timeout=min(WHO_SECONDS, timeout))
        if isinstance(other, Running):
            return _instead(awaited, other, name_of(other))
        if not other.wrong:
            return other
    return await _look_by_secret(context, node, awaited, timeout=min(WHO_SECONDS, timeout)) or found


async def _look_by_secret(context: ProbeContext, node: str, awaited: Awaited, *, timeout: float) -> Observation | None:
    """Looks at whoever answers with a key that nobody knows, and returns it if it proves all that is awaited.

    A system may make its host keys at its first boot. Only it has the marker's secret, which is on its disk alone; a
    machine that poses as it learns nothing from what it is asked. A system that was declared without host keys has no
    such secret: the token of its boot and its root have to do.
    """
    by_secret = bool(awaited.secret and awaited.marker)
    if not by_secret and not awaited.any_key:
        return None
    machine = context.nodes[node]
    device = machine.partition_device(machine.partition).removeprefix("/dev/")
    host = _host(context, node, awaited.host_keys)
    try:
        said = await context.ports.shell.run_unproved(host, question(device, machine.partition_uuid), timeout=timeout)
    except ShellError:
        return None
    running = parse(said.result.stdout, device)
    if not running.boot_id:
        return None
    if by_secret and not hmac.compare_digest(running.marker.get(PROOF, ""), awaited.secret):
        return None
    if problem := _difference(context, node, awaited, running):
        return _instead(awaited, running, problem)
    return Observation(arrived=running, host_key=said.host_key)


async def look_for_stranger(context: ProbeContext, node: str, awaited: Awaited, *, timeout: float) -> Observation:
    """Looks whether a system answers that proves none of the known keys: of a system that nobody can look into.

    Its ssh server is the only sign of it, as it was for Kadeploy 3. The arrived system has no boot id.
    """
    known = await try_look(context, _host(context, node, awaited.other_keys), timeout=timeout)
    if isinstance(known, Running):
        return _instead(awaited, known, name_of(known))
    return Observation(arrived=Running(command_line="", boot_id="")) if known.wrong else known


def name_of(running: Running) -> str:
    """Returns how a sentence names what runs on a node."""
    if is_deployment_environment(running):
        return "the deployment environment"
    writer = running.marker.get("deployment")
    return f"{f'the system of deployment {writer}' if writer else 'another system'}, running from {running.root_source}"


def is_deployment_environment(running: Running) -> bool:
    """Returns whether a system was booted as the deployment environment: its entry alone names the node."""
    return bool(argument(running.command_line, NODE_ARGUMENT))


def _host(context: ProbeContext, node: str, keys: tuple[str, ...]) -> ShellHost:
    return ShellHost(name=node, address=context.nodes[node].ip_address, host_keys=keys)


def _difference(context: ProbeContext, node: str, awaited: Awaited, running: Running) -> str:
    """Returns in what a system that proved the host key is not the right one, empty if it is."""
    machine = context.nodes[node]
    target = machine.partition_device(machine.partition)
    if awaited.token and running.token != awaited.token:
        return f"{name_of(running)}, not booted by {awaited.booted_by}"
    if awaited.left and running.boot_id == awaited.left:
        return name_of(running)
    if not awaited.marker and not awaited.on_target:
        return ""
    if not running.root_is_device:
        return f"the kernel runs from {running.root_source} and not from {target}"
    if any(running.marker.get(key) != value for key, value in awaited.marker.items()):
        return f"the system on {target} is not the one that {awaited.written_by} wrote"
    return ""


def _instead(awaited: Awaited, running: Running, seen: str) -> Observation:
    if awaited.left and running.boot_id == awaited.left:
        return Observation(seen=f"{seen}: it has not rebooted yet", instead=running)
    booted_since = bool(awaited.left) or bool(awaited.token and running.token == awaited.token)
    stays = running.root_source.startswith("/dev/") or is_deployment_environment(running)
    return Observation(seen=seen, wrong=True, settled=booted_since and stays, instead=running)
