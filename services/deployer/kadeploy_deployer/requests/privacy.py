"""What of a deployment is shown to whom: its owner and administrators see all, others not what belongs to its owner."""

from dataclasses import replace

from kadeploy_deployer.domain.deployment import Deployment, NodeDeployment
from kadeploy_deployer.requests.deployment_request import Actor


def shown_to(actor: Actor, deployment: Deployment) -> Deployment:
    """Returns a deployment as it is shown to somebody.

    The keys that open the new systems and their kernels' arguments are for the owner and administrators alone.
    """
    if actor.is_administrator or actor.user == deployment.owner:
        return deployment
    return replace(
        deployment,
        spec=replace(deployment.spec, authorized_keys=(), kernel_arguments=""),
        nodes=tuple(map(_without_command_line, deployment.nodes)),
    )


def _without_command_line(node: NodeDeployment) -> NodeDeployment:
    if not node.facts.kernel_command_line:
        return node
    return replace(node, facts=replace(node.facts, kernel_command_line=""))
