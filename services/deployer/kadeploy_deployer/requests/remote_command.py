"""Running a command as root on nodes, and handing on what it prints as it comes."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from kadeploy_deployer.domain.control_errors import InvalidControl
from kadeploy_deployer.engine.operation import RunningOperation, on_each, with_locks
from kadeploy_deployer.engine.operation_request import OperationRequest
from kadeploy_deployer.engine.racing import first_of
from kadeploy_deployer.ports import ShellHost
from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_deployer.requests.node_access import ControlParts, allowed_nodes, make_guard
from kadeploy_edge.errors import DomainError

DEFAULT_SECONDS = 600.0
LONGEST_SECONDS = 24 * 3600.0
TO = "run commands on"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOutput:
    """A piece of what a command printed on a node, not always a whole line; `is_error`: on standard error."""

    node: str
    content: bytes
    is_error: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandEnd:
    """How a command ended on a node. `error`: why it has no exit status."""

    node: str
    exit_status: int = 0
    error: DomainError | None = None


async def run_command(
    nodes: str,
    arguments: Sequence[str],
    *,
    timeout: float,
    stdin: bytes,
    actor: Actor,
    parts: ControlParts,
    show: Callable[[CommandOutput], Awaitable[None]],
    tell: Callable[[CommandEnd], None],
) -> None:
    """Runs a command on nodes and tells, for each, what it prints, as it comes, and then how it ended.

    While a piece is not taken the command has to wait, so a caller who reads slowly may make it run out of time.

    Args:
        nodes: a node set.
        arguments: the command; no shell reads it.
        timeout: seconds for each node; 0 for the default.
        stdin: what the command reads.
        actor: who calls.
        parts: the world.
        show: shows what was printed; waits when the caller does not read.
        tell: called with how it ended.

    Raises:
        InvalidNodeSet, RightMissing: see `allowed_nodes`. A right that ends later ends the command on its node alone.
        InvalidControl: nothing to run, or a timeout that is none.
    """
    if not arguments or not arguments[0]:
        raise InvalidControl("arguments", "name no command")
    if any("\0" in argument for argument in arguments):
        raise InvalidControl("arguments", "cannot hold a NUL")
    if not 0 <= timeout <= LONGEST_SECONDS:
        raise InvalidControl("timeout", f"must be between 0 and {LONGEST_SECONDS:.0f} s")
    allowed = await allowed_nodes(nodes, actor=actor, inventory=parts.inventory, to=TO)
    guard = make_guard(parts, actor, to=TO)
    known = await parts.lease_holder.store.knowledge(list(allowed.nodes))
    ended: dict[str, int] = {}

    def report(node: str, error: DomainError | None) -> None:
        tell(CommandEnd(node=node, exit_status=ended.get(node, 0), error=error))

    async def one(name: str) -> None:
        # Whatever of ours runs there: a system that we deployed, or the deployment environment.
        keys = (*known[name].all_host_keys, *parts.deployment_host_keys)
        host = ShellHost(name=name, address=allowed.nodes[name].ip_address, host_keys=keys)

        async def on_part(content: bytes, is_error: bool) -> None:
            await show(CommandOutput(node=name, content=content, is_error=is_error))

        async def run() -> None:
            result = await parts.ports.shell.run(
                host, arguments, timeout=timeout or DEFAULT_SECONDS, stdin=stdin, on_part=on_part
            )
            ended[name] = result.exit_status

        await guard.must_have(name)
        await first_of(run(), guard.watch(name))

    async def work(held: RunningOperation, free: Sequence[str]) -> None:
        await on_each(free, one, held.tell)

    await with_locks(
        parts.lease_holder,
        kind="command",
        # Nobody can ask again: what was printed is kept nowhere.
        request=OperationRequest(owner=actor.user),
        nodes=list(allowed.nodes),
        refused=allowed.refused,
        work=work,
        tell=report,
    )
