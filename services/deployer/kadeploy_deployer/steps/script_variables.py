"""What pre- and post-install scripts find in their environment."""

from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.domain.vocabulary import PartitionRole
from kadeploy_deployer.steps.mounts import DESTINATION
from kadeploy_deployer.steps.step import StepContext

DIRECTORY = "/rambin"
"""Where archives are unpacked and scripts run."""


def kernel_arguments(context: StepContext, node: str) -> str:
    """Returns the new system's kernel arguments: the request's, else the environment's, else the cluster's."""
    return (
        context.spec.kernel_arguments or context.environment.kernel_arguments or context.profile(node).kernel_arguments
    )


def script_variables(context: StepContext, node: str) -> dict[str, str]:
    """Returns the variables for a node; a number of a partition that is not there is empty."""
    machine, environment = context.nodes[node], context.environment
    return {
        **dict(environment.custom_variables),
        "KADEPLOY_NODE": node,
        "KADEPLOY_NODE_IP": machine.ip_address,
        "KADEPLOY_NODE_MAC": machine.mac_address,
        "KADEPLOY_DEPLOYMENT": context.deployment_id,
        "KADEPLOY_CLUSTER": machine.cluster,
        "KADEPLOY_ENV": environment.name,
        "KADEPLOY_ENV_OPTIONS": environment.options,
        "KADEPLOY_ENV_KERNEL": environment.kernel_path,
        "KADEPLOY_ENV_INITRD": environment.initrd_path,
        "KADEPLOY_ENV_KERNEL_PARAMS": kernel_arguments(context, node),
        "KADEPLOY_ENV_HYPERVISOR": environment.hypervisor_path,
        "KADEPLOY_ENV_HYPERVISOR_PARAMS": environment.hypervisor_arguments,
        "KADEPLOY_DEPLOY_PART": machine.partition_device(machine.partition),
        "KADEPLOY_BLOCK_DEVICE": machine.disk_device,
        "KADEPLOY_ROOT": machine.root,
        "KADEPLOY_DEPLOY_PART_NUM": str(machine.partition),
        "KADEPLOY_SWAP_PART_NUM": _number(machine, PartitionRole.SWAP),
        "KADEPLOY_PROD_PART_NUM": _number(machine, PartitionRole.PRODUCTION),
        "KADEPLOY_TMP_PART_NUM": _number(machine, PartitionRole.TMP),
        "KADEPLOY_ENV_EXTRACTION_DIR": DESTINATION,
        "KADEPLOY_PREPOST_EXTRACTION_DIR": DIRECTORY,
        "KADEPLOY_TMP_DIR": "/tmp",  # noqa: S108 - the deployment environment's, which is in memory
        "KADEPLOY_OS_KIND": environment.operating_system,
        "KADEPLOY_PART_TYPE": f"{environment.partition_type_id:x}",
        "KADEPLOY_FS_TYPE": environment.file_system,
        "KADEPLOY_FS_TYPE_TMP": context.spec.reformat_tmp,
    }


def _number(machine: NodeSnapshot, role: PartitionRole) -> str:
    partitions = machine.disk.partitions if machine.disk else ()
    return next((str(part.number) for part in partitions if part.role is role), "")
