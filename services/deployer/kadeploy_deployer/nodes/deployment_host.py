"""Where a node's deployment environment answers."""

from kadeploy_deployer.nodes.probe_context import ProbeContext
from kadeploy_deployer.ports import ShellHost


def deployment_host(context: ProbeContext, node: str) -> ShellHost:
    """Returns where a node's deployment environment answers."""
    return ShellHost(name=node, address=context.nodes[node].ip_address, host_keys=tuple(context.deployment_host_keys))
