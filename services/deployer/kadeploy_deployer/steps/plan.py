"""The plan: all steps in their order. Each says itself whether a deployment needs it."""

from kadeploy_deployer.steps.boot_deployment_environment import BOOT_DEPLOYMENT_ENVIRONMENT
from kadeploy_deployer.steps.boot_files import PREPARE_BOOT
from kadeploy_deployer.steps.boot_new_system import BOOT_NEW_SYSTEM
from kadeploy_deployer.steps.broadcast import COPY_IMAGE
from kadeploy_deployer.steps.cloud_init import CLOUD_INIT
from kadeploy_deployer.steps.find_disk import FIND_DISK
from kadeploy_deployer.steps.format import FORMAT
from kadeploy_deployer.steps.keys import KEYS
from kadeploy_deployer.steps.mount import MOUNT, MOUNT_IMAGE
from kadeploy_deployer.steps.partition import PARTITION
from kadeploy_deployer.steps.postinstall import POSTINSTALL
from kadeploy_deployer.steps.preinstall import PREINSTALL
from kadeploy_deployer.steps.step import Step

PLAN: tuple[Step, ...] = (
    BOOT_DEPLOYMENT_ENVIRONMENT,
    FIND_DISK,
    PREINSTALL,
    PARTITION,
    FORMAT,
    MOUNT,
    COPY_IMAGE,
    MOUNT_IMAGE,
    POSTINSTALL,
    CLOUD_INIT,
    KEYS,
    PREPARE_BOOT,
    BOOT_NEW_SYSTEM,
)
