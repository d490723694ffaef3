"""What a deployment cannot do, and how its nodes boot: asked of the context that a step works in."""

from kadeploy_deployer.domain import boot_choice, feasibility
from kadeploy_deployer.steps.step import StepContext


def chainloads(context: StepContext) -> bool:
    """Returns whether the nodes' boot entry hands over to the loader of the target partition."""
    return boot_choice.chainloads(context.spec.boot_method, context.environment)


def boots_by_grub(context: StepContext) -> bool:
    """Returns whether GRUB, fetched over the network, boots the nodes from their own disk."""
    return boot_choice.boots_by_grub(context.spec.boot_method, context.environment)


def impossible(context: StepContext) -> str:
    """Returns in one sentence why the deployment cannot succeed, empty if nothing speaks against it."""
    found = feasibility.impossible(context.spec, context.environment)
    return found.text if found else ""
