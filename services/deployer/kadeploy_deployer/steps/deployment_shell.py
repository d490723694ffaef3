"""Commands in the deployment environment, where the step wants them to succeed."""

from collections.abc import AsyncIterator, Mapping, Sequence

from kadeploy_deployer.nodes.command_result import last_words
from kadeploy_deployer.nodes.deployment_host import deployment_host
from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.ports import CommandResult, ShellHost
from kadeploy_deployer.steps.step import StepContext

COMMAND_SECONDS = 60.0

_WRITE_FILE = 'mkdir -p "${1%/*}" && cat >"$1.kadeploy" && chmod "$2" "$1.kadeploy" && mv -f "$1.kadeploy" "$1"'


def working_host(context: StepContext, node: str) -> ShellHost:
    """Returns where steps work on a node: in its deployment environment, or in the system that it ran before."""
    if not context.spec.use_production_system:
        return deployment_host(context, node)
    keys = context.facts[node].previous_host_keys
    return ShellHost(name=node, address=context.nodes[node].ip_address, host_keys=keys)


async def try_command(
    context: StepContext,
    node: str,
    arguments: Sequence[str],
    *,
    timeout: float = COMMAND_SECONDS,
    stdin: bytes | AsyncIterator[bytes] = b"",
    environment: Mapping[str, str] | None = None,
) -> CommandResult:
    """Runs a command and returns how it ended. Raises ShellError."""
    return await context.ports.shell.run(
        working_host(context, node), arguments, timeout=timeout, stdin=stdin, environment=environment
    )


async def command(
    context: StepContext,
    node: str,
    arguments: Sequence[str],
    *,
    what: str,
    timeout: float = COMMAND_SECONDS,
    stdin: bytes | AsyncIterator[bytes] = b"",
) -> str:
    """Runs a command that has to succeed and returns its standard output.

    Args:
        context: of the step.
        node: where.
        arguments: the command.
        what: how a sentence names it: "making an ext4 on /dev/vda3".
        timeout: seconds.
        stdin: what the command reads.

    Raises:
        NodeFailed: the exit status is not 0.
        ShellError: there is no answer.
    """
    result = await try_command(context, node, arguments, timeout=timeout, stdin=stdin)
    if result.exit_status:
        raise NodeFailed(f"{what} on {node} failed: {last_words(result)}")
    return result.stdout


async def read_file(context: StepContext, node: str, path: str) -> str:
    """Returns the text of a file, empty when it cannot be read."""
    result = await try_command(context, node, ("cat", path))
    return result.stdout if result.exit_status == 0 else ""


async def write_file(context: StepContext, node: str, path: str, content: str, *, mode: str) -> None:
    """Writes a file in one piece, with its directory. Raises NodeFailed."""
    arguments = ("sh", "-c", _WRITE_FILE, "write-file", path, mode)
    await command(context, node, arguments, what=f"writing {path}", stdin=content.encode())
