"""Starts the new system's kernel from the deployment environment, without the firmware in between."""

from kadeploy_deployer.nodes.command_result import last_words
from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.steps.boot_files import system_arguments
from kadeploy_deployer.steps.deployment_shell import command, working_host
from kadeploy_deployer.steps.mounts import DESTINATION
from kadeploy_deployer.steps.step import StepContext

LOAD_SECONDS = 120.0
START_SECONDS = 40.0

# Follows the links of a path below the root $1, as the system there would see them.
_RESOLVE = """
path=$2 left=20
while [ -L "$1$path" ]; do
  left=$((left - 1))
  [ "$left" -gt 0 ] || { echo "$2 is a ring of links" >&2; exit 1; }
  link=$(readlink "$1$path")
  case $link in /*) path=$link ;; *) path=${path%/*}/$link ;; esac
done
[ -f "$1$path" ] || { echo "$2 is not in the new system" >&2; exit 1; }
printf '%s\\n' "$1$path"
"""
# Answers before the machine changes hands, so that the session ends in order.
_START = "(sleep 1; exec kexec -e) </dev/null >/dev/null 2>&1 &"


async def load(context: StepContext, node: str) -> None:
    """Puts kernel, initrd and arguments in place, from the mounted target. Raises NodeFailed or ShellError."""
    environment = context.environment
    arguments = system_arguments(context, node, token=context.facts[node].system_token)
    words = ["kexec", "-l", f"--command-line={arguments}"]
    if environment.initrd_path:
        words.append(f"--initrd={await _real_path(context, node, environment.initrd_path)}")
    words.append(await _real_path(context, node, environment.kernel_path))
    await command(context, node, words, what="loading the new kernel", timeout=LOAD_SECONDS)


async def start(context: StepContext, node: str) -> None:
    """Leaves for what was loaded. Raises NodeFailed or ShellError."""
    host, shell = working_host(context, node), context.ports.shell
    try:
        result = await shell.run(host, ("sh", "-c", _START, "kexec"), timeout=START_SECONDS)
    finally:
        await shell.forget(host)
    if result.exit_status:
        raise NodeFailed(f"kexec on {node} failed: {last_words(result)}")


async def _real_path(context: StepContext, node: str, path: str) -> str:
    arguments = ("sh", "-c", _RESOLVE, "real-path", DESTINATION, f"/{path.lstrip('/')}")
    return (await command(context, node, arguments, what=f"looking for {path}")).strip()
