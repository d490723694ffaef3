"""What a deployment learns about one node on the way. Plain data, durable: a resumed step knows it too."""

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class NodeFacts:
    """What was learned about one node in this deployment.

    The two tokens are made with the deployment. `previous_host_keys`: of the system that ran before, if we deployed it.
    """

    deployment_token: str
    system_token: str
    previous_host_keys: tuple[str, ...] = ()
    deployment_boot_id: str = ""
    image_digest: str = ""
    host_keys: tuple[str, ...] = ()
    boot_id: str = ""
    root_device: str = ""
    kernel_command_line: str = ""
