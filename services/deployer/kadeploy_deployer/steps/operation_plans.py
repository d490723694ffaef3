"""The plans of operations: their steps in order. Each step says itself whether a node needs it."""

from collections.abc import Mapping, Sequence

from kadeploy_deployer.domain.states import OperationKind
from kadeploy_deployer.steps.boot_entry import WRITE_BOOT_ENTRY
from kadeploy_deployer.steps.operation_step import OperationStep
from kadeploy_deployer.steps.power import POWER
from kadeploy_deployer.steps.reboot import REBOOT
from kadeploy_deployer.steps.run_command import RUN_COMMAND

OPERATION_PLANS: Mapping[OperationKind, Sequence[OperationStep]] = {
    OperationKind.REBOOT: (WRITE_BOOT_ENTRY, REBOOT),
    OperationKind.POWER: (POWER,),
    OperationKind.COMMAND: (RUN_COMMAND,),
}
