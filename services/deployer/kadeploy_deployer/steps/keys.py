"""Step: who may log in to the new system, and how it proves itself.

Puts the deployer's key and the user's keys into root's authorized_keys, learns the host keys (or makes one), and leaves
the marker file by which the last check knows the system again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from typing_extensions import override

from kadeploy_deployer.domain import boot_choice
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.states import FailureReason, PartitionState
from kadeploy_deployer.nodes.host_key import new_host_key, public_keys
from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.nodes.probe import DISTRUSTED, MARKER, PROOF
from kadeploy_deployer.steps.deployment_shell import command, read_file, try_command, write_file
from kadeploy_deployer.steps.mounts import DESTINATION
from kadeploy_deployer.steps.security_labels import label_files
from kadeploy_deployer.steps.step import Step, StepContext

SYNC_SECONDS = 300.0
SSH = f"{DESTINATION}/etc/ssh"
DROPBEAR = f"{DESTINATION}/etc/dropbear"
DROPBEAR_KEY = f"{DROPBEAR}/dropbear_ed25519_host_key"

# The types that the policies of Fedora, RHEL and Debian have for what is written here.
LABELS = {
    "/root/.ssh": "ssh_home_t",
    "/root/.ssh/authorized_keys": "ssh_home_t",
    MARKER: "etc_t",
    "/etc/ssh/ssh_host_ed25519_key": "sshd_key_t",
    "/etc/ssh/ssh_host_ed25519_key.pub": "sshd_key_t",
}
PUBLIC_KEYS = 'cat "$1"/ssh_host_*_key.pub'
DROPBEAR_KEYS = 'for key in "$1"/dropbear_*_host_key; do dropbearkey -y -f "$key"; done'


class Keys(Step):
    """See the module. What it wrote before it recognises, so it may run again."""

    name = "keys"
    partition_state = PartitionState.DEPLOYING
    timeout = 300.0
    failure_reason = FailureReason.POSTINSTALL_FAILED
    retries = 1

    @override
    def applies(self, context: StepContext, node: str) -> bool:
        return not boot_choice.is_opaque(context.environment)

    @override
    def describe(self, context: StepContext, node: str) -> Sequence[str]:
        count = len(context.spec.authorized_keys)
        return [
            f"let the deployer's key and {count} {'key' if count == 1 else 'keys'} of the user log in as root",
            "read the system's host keys, or make one if it has none",
            f"write {MARKER}",
        ]

    @override
    async def run(self, context: StepContext, node: str) -> NodeFacts:
        await _authorize(context, node)
        host_keys = await _host_keys(context, node)
        await write_file(context, node, f"{DESTINATION}{MARKER}", marker(context, node), mode="600")
        await label_files(context, node, LABELS)
        # From here on a hard reset cannot cost what was written.
        await command(context, node, ("sync",), what="writing everything to the disk", timeout=SYNC_SECONDS)
        return replace(context.facts[node], host_keys=host_keys)


def marker(context: StepContext, node: str) -> str:
    """Returns the text of the marker file."""
    distrusted = f"{DISTRUSTED}=yes\n" if context.environment.destructive else ""
    facts = context.facts[node]
    proof = f"{PROOF}={facts.marker_secret}\n" if facts.marker_secret else ""
    return f"deployment={context.deployment_id}\ntoken={facts.system_token}\n{proof}{distrusted}"


def merged_keys(present: str, wanted: Iterable[str]) -> str:
    """Returns an authorized_keys file with the wanted keys after those that are there, none twice."""
    lines = [line.rstrip() for line in present.splitlines() if line.strip()]
    for key in wanted:
        # Blanks in the quotes of an option belong to it.
        line = key.strip() if '"' in key else " ".join(key.split())
        if line and line not in lines:
            lines.append(line)
    return "".join(f"{line}\n" for line in lines)


async def _authorize(context: StepContext, node: str) -> None:
    directory = f"{DESTINATION}/root/.ssh"
    path = f"{directory}/authorized_keys"
    present = await read_file(context, node, path)
    wanted = [context.cluster_public_key, *context.spec.authorized_keys]
    await write_file(context, node, path, merged_keys(present, wanted), mode="600")
    await command(context, node, ("chmod", "700", directory), what=f"setting the mode of {directory}")


async def _host_keys(context: StepContext, node: str) -> tuple[str, ...]:
    """Returns the public host keys of the new system; makes one if there is none and a server that could use it."""
    for script, directory in ((PUBLIC_KEYS, SSH), (DROPBEAR_KEYS, DROPBEAR)):
        result = await try_command(context, node, ("sh", "-c", script, "host-keys", directory))
        if keys := public_keys(result.stdout):
            return keys
    if await _is_directory(context, node, DROPBEAR):
        arguments = ("dropbearkey", "-t", "ed25519", "-f", DROPBEAR_KEY)
        return public_keys(await command(context, node, arguments, what="making a host key"))
    if not await _is_directory(context, node, SSH):
        raise NodeFailed(
            f"the new system of {node} has no ssh server that could prove it: neither /etc/ssh nor /etc/dropbear is in "
            f"the image"
        )
    pair = new_host_key()
    private = f"{SSH}/ssh_host_ed25519_key"
    await write_file(context, node, private, pair.private, mode="600")
    await write_file(context, node, f"{private}.pub", f"{pair.public} root@{node}\n", mode="644")
    return (pair.public,)


async def _is_directory(context: StepContext, node: str, path: str) -> bool:
    return (await try_command(context, node, ("test", "-d", path))).exit_status == 0


KEYS = Keys()
