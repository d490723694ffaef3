"""What a deployment or operation learns about one node. Frozen, plain and durable: a resumed step knows it too."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

TOKEN_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What was learned about one node in this deployment. A step that learns more returns new facts.

    `marker_secret` stands in the marker file and nowhere else: not on a command line that the network carries.
    The secrets are made from the deployment's; they are empty where a node is only shown.
    `previous_host_keys`: of the system that ran before, if we deployed it.
    `disk`: the device file of the target's disk without "/dev/", as the deployment environment names it.
    `partition_uuid`: of the target in its partition table; empty where the table has none.
    `begun`: whether an operation may have done what must not be done twice; it is durable before that is done.
    `left_boot_id`: of what ran on the node before an operation rebooted it; empty: nobody could look.
    """

    deployment_token: str = ""
    system_token: str = ""
    marker_secret: str = ""
    previous_host_keys: tuple[str, ...] = ()
    deployment_boot_id: str = ""
    disk: str = ""
    partition_uuid: str = ""
    image_digest: str = ""
    host_keys: tuple[str, ...] = ()
    boot_id: str = ""
    root_device: str = ""
    kernel_command_line: str = ""
    begun: bool = False
    left_boot_id: str = ""


NO_FACTS: Final = NodeFacts()
"""Of nodes that are only shown."""


def first_facts(secret: str, node: str) -> NodeFacts:
    """Returns the facts of a node of which nothing was learned yet: its tokens, which nobody can guess."""
    return NodeFacts(
        deployment_token=_token(secret, f"deployment of {node}"),
        system_token=_token(secret, f"system of {node}"),
        marker_secret=_token(secret, f"marker of {node}"),
    )


def _token(secret: str, purpose: str) -> str:
    return blake2b(purpose.encode(), key=secret.encode(), digest_size=TOKEN_BYTES).hexdigest()
