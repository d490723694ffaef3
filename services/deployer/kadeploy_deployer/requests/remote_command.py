"""Running a command as root on nodes, and handing on what it prints as it comes."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from kadeploy_deployer.domain.control_errors import InvalidControl
from kadeploy_deployer.domain.operation import VERBS, OperationSpec
from kadeploy_deployer.domain.states import OperationKind
from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_deployer.requests.node_access import ControlParts, allowed_nodes
from kadeploy_deployer.requests.operations import OperationRequest, PreparedOperation, carry_out
from kadeploy_deployer.steps.operation_step import CommandChannel
from kadeploy_deployer.steps.run_command import LONGEST_SECONDS
from kadeploy_edge.errors import DomainError

DEFAULT_SECONDS = 600.0


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

    async def on_part(node: str, content: bytes, is_error: bool) -> None:
        await show(CommandOutput(node=node, content=content, is_error=is_error))

    channel = CommandChannel(arguments=tuple(arguments), timeout=timeout or DEFAULT_SECONDS, stdin=stdin, show=on_part)

    async def prepare() -> PreparedOperation:
        allowed = await allowed_nodes(nodes, actor=actor, inventory=parts.inventory, to=VERBS[OperationKind.COMMAND])
        # What is run is kept nowhere: it may hold secrets.
        spec = OperationSpec(kind=OperationKind.COMMAND, nodes=nodes, ends_with_call=True)
        return PreparedOperation(
            spec=spec, nodes=allowed.nodes, refused=allowed.refused, profiles=allowed.profiles, channel=channel
        )

    def report(node: str, error: DomainError | None) -> None:
        tell(CommandEnd(node=node, exit_status=channel.exit_statuses.get(node, 0), error=error))

    # Nobody can ask again: what was printed is kept nowhere.
    await carry_out(OperationRequest(owner=actor.user), prepare, report, actor=actor, parts=parts)
