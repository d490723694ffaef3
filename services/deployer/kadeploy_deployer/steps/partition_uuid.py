"""The UUID that the target has in its disk's partition table: a name that no boot changes."""

import re

from kadeploy_deployer.steps.deployment_shell import command
from kadeploy_deployer.steps.step import StepContext

_WORD = re.compile(r"[0-9A-Fa-f-]{4,40}")
# A copy of a disk has the UUIDs of the original: what two partitions have names none.
_SCRIPT = """
uuid=$(blkid -p -o value -s PART_ENTRY_UUID "$1") || exit 0
[ -n "$uuid" ] && [ "$(blkid -t "PARTUUID=$uuid" -o device | wc -l)" -le 1 ] && printf '%s\\n' "$uuid"
exit 0
"""


async def read_partition_uuid(context: StepContext, node: str) -> str:
    """Returns the target's UUID; empty where the table has none, or another partition has it too.

    Raises:
        NodeFailed, ShellError: the node does not say.
    """
    target = context.nodes[node].target_device
    arguments = ("sh", "-c", _SCRIPT, "partition-uuid", target)
    text = (await command(context, node, arguments, what=f"asking for the UUID of {target}")).strip()
    return text if _WORD.fullmatch(text) else ""
