"""What of a deployment is private: its owner and administrators see all, other callers not its keys and arguments."""

from dataclasses import replace

from kadeploy_deployer.domain.deployment import Deployment, NodeDeployment
from kadeploy_deployer.requests.deployment_request import Actor


def redact_deployment(deployment: Deployment, actor: Actor) -> Deployment:
    """Returns a deployment as it is shown to a caller.

    The keys that open the new systems, what cloud-init does in them, and their kernels' arguments are for the owner and
    administrators alone.
    """
    if actor.is_administrator or actor.user == deployment.owner:
        return deployment
    return replace(
        deployment,
        spec=replace(deployment.spec, authorized_keys=(), kernel_arguments="", cloud_init=None),
        nodes=tuple(map(_without_command_line, deployment.nodes)),
    )


def _without_command_line(node: NodeDeployment) -> NodeDeployment:
    if not node.facts.kernel_command_line:
        return node
    return replace(node, facts=replace(node.facts, kernel_command_line=""))
