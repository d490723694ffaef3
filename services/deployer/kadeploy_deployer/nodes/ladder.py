"""The reboot ladder: tries one way to reboot after the other until the node shows what it should run."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from kadeploy_deployer.domain.states import RebootLevel
from kadeploy_deployer.nodes.command_result import last_words
from kadeploy_deployer.nodes.deployment_host import deployment_host
from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.nodes.probe import Running, look
from kadeploy_deployer.nodes.probe_context import ProbeContext
from kadeploy_deployer.nodes.reboot_window import Turns
from kadeploy_deployer.ports import CommandTimedOut, OtherHostKey, PowerError, RemoteShell, ShellError, ShellHost

POLL_PAUSE = 3.0
LOOK_SECONDS = 30.0
"""For one look: a login takes seconds on a machine that has only just come up."""
LAST_LOOK_SECONDS = 5.0
REBOOT_SECONDS = 40.0

# Answers before the machine goes down, so that the session ends in order.
_REBOOT = "(sleep 1; exec reboot) </dev/null >/dev/null 2>&1 &"
_REBOOT_AT_ONCE = "(sleep 1; exec reboot -f) </dev/null >/dev/null 2>&1 &"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One way to reboot a node: its name in sentences, and what does it."""

    name: str
    act: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a look at a node showed.

    `arrived`: what should run there, when it does; else `seen` is a clause on what is there instead, and `wrong` says
    that a system answers which is not the one. `settled`: it was booted since, so no waiting makes it the right one.
    `instead`: that system, if it said what it is. `host_key`: of what arrived, if it is none that was known.
    """

    arrived: Running | None = None
    host_key: str = ""
    instead: Running | None = None
    seen: str = "nobody looked"
    wrong: bool = False
    settled: bool = False


@dataclass(slots=True, kw_only=True)
class LadderResult:
    """How it went: the last observation, and a clause for each rung that was tried."""

    observation: Observation
    tried: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """Returns what was seen last and what was tried. It stands beside the node's name, so it does not repeat it."""
        return f"seen last: {self.observation.seen}; tried: {', '.join(self.tried) or 'nothing'}"


async def climb_ladder(
    context: ProbeContext,
    node: str,
    rungs: Sequence[Rung],
    *,
    window: Turns,
    look_once: Callable[[float], Awaitable[Observation]],
    patience: float,
) -> LadderResult:
    """Tries the rungs in order until a look shows the right system.

    Args:
        context: of the step or operation.
        node: its name.
        rungs: the ways to reboot; one that fails is followed by the next at once.
        window: lets so many machines reboot at a time.
        look_once: looks at the node, for at most the given number of seconds.
        patience: seconds to wait after each reboot.
    """
    result = LadderResult(observation=Observation())
    clock = context.ports.clock
    for number, rung in enumerate(rungs):
        if number:
            await context.recorder.remark(
                node, f"{rung.name} follows, because {result.tried[-1]}: {result.observation.seen}"
            )
        await window.turn()
        try:
            await rung.act()
        except (ShellError, PowerError, NodeFailed) as problem:
            result.tried.append(f"{rung.name} (failed: {_without_name(problem, node)})")
            continue
        begin = clock.monotonic()
        while (left := begin + patience - clock.monotonic()) > 0:
            # First the pause: no machine is back at once, and what is seen right after the command is on its way down.
            await clock.sleep(min(POLL_PAUSE, left))
            left = begin + patience - clock.monotonic()
            result.observation = await look_once(min(LOOK_SECONDS, max(left, LAST_LOOK_SECONDS)))
            if result.observation.arrived is not None:
                return result
            if result.observation.settled:
                break
        waited = min(clock.monotonic() - begin, patience)
        result.tried.append(f"{rung.name} (waited {waited:.0f} s)")
    return result


def all_rungs(
    context: ProbeContext, node: str, levels: Sequence[RebootLevel], *, soft: Callable[[], Awaitable[None]], off: bool
) -> list[Rung]:
    """Returns the rungs from a node that runs anything to a reboot.

    Args:
        context: of the step or operation.
        node: its name.
        levels: the ladder.
        soft: asks what runs there to reboot; for sites that have no command for it.
        off: it has no power: it is switched on first, and nobody is asked.
    """
    machine, power = context.nodes[node], context.ports.power
    rungs = [Rung(name="power on", act=lambda: power.power_on(machine))] if off else []
    for level in levels:
        if level is not RebootLevel.SOFT or machine.commands.soft_reboot:
            rungs.extend(power_rungs(context, node, [level]))
        elif not off:
            rungs.append(Rung(name="soft reboot", act=soft))
    return rungs


def power_rungs(context: ProbeContext, node: str, levels: Sequence[RebootLevel]) -> list[Rung]:
    """Returns the rungs that go through the power commands."""
    machine = context.nodes[node]
    host = deployment_host(context, node)

    def rung(level: RebootLevel) -> Rung:
        async def act() -> None:
            await context.ports.power.reboot(machine, level)
            # What was connected to the node is connected to nobody now, and would only find out by waiting.
            await context.ports.shell.forget(host)

        return Rung(name=f"{level.value.replace('_', ' ')} reboot", act=act)

    return [rung(level) for level in levels]


async def reboot_over_ssh(shell: RemoteShell, host: ShellHost, *, at_once: bool) -> None:
    """Logs in and reboots; `at_once`: without asking the services of the system to end.

    Raises:
        ShellError: no session.
        NodeFailed: the command did not go.
    """
    script = _REBOOT_AT_ONCE if at_once else _REBOOT
    try:
        result = await shell.run(host, ("sh", "-c", script, "reboot"), timeout=REBOOT_SECONDS)
    finally:
        await shell.forget(host)
    if result.exit_status:
        raise NodeFailed(f"reboot of {host.name} failed: {last_words(result)}")


async def try_look(context: ProbeContext, host: ShellHost, *, timeout: float) -> Running | Observation:
    """Looks at a node; a Observation when nobody or somebody else answers."""
    machine = context.nodes[host.name]
    device = machine.partition_device(machine.partition).removeprefix("/dev/")
    try:
        return await look(
            context.ports.shell, host, device=device, timeout=timeout, partition_uuid=machine.partition_uuid
        )
    except OtherHostKey as problem:
        return Observation(seen=_without_name(problem, host.name), wrong=True)
    except (ShellError, NodeFailed) as problem:
        if isinstance(problem, CommandTimedOut):
            await context.ports.shell.forget(host)
        return Observation(seen=_without_name(problem, host.name))


def _without_name(problem: Exception, node: str) -> str:
    return str(problem).removeprefix(f"{node} ")
