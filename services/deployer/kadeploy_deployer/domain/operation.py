"""What is done to nodes outside of a deployment: reboots, power changes, commands; as asked for, and as it stands.

An operation has the four states of a deployment, of which DEPLOYING says that its nodes are being worked on.
"""

from dataclasses import dataclass, replace

from kadeploy_deployer.domain.deployment import Deployment, NodeWork, list_of
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.snapshot import LISTED_NODES
from kadeploy_deployer.domain.states import (
    BootMethod,
    BusyPolicy,
    FailureReason,
    OperationKind,
    PowerAction,
    RebootLevel,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentEntry:
    """Whatever the node boots as things stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentKernel:
    """The deployment environment. `label` empty: the cluster's."""

    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedEnvironment:
    """The partition to which this environment was deployed; the latest, if there are several."""

    name: str
    version: int | None = None
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedPartition:
    """What was deployed on this partition. Empty and 0: the cluster's default."""

    device: str = ""
    partition: int = 0


Target = PresentEntry | DeploymentKernel | DeployedEnvironment | DeployedPartition
"""What nodes boot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RebootSpec:
    """How nodes are rebooted, and into what. At most one of the three targets is set; none: what their entries say.

    Attributes:
        kernel: the deployment environment.
        environment: where it was deployed.
        partition: what was deployed there.
        level: this one way to reboot and no other; None: the cluster's ladder.
        prepare_only: write the boot files and leave the nodes as they are.
        kernel_arguments: instead of those that the target has.
        boot_method: of a deployed system; None: as it was deployed.
    """

    kernel: DeploymentKernel | None = None
    environment: DeployedEnvironment | None = None
    partition: DeployedPartition | None = None
    level: RebootLevel | None = None
    prepare_only: bool = False
    kernel_arguments: str = ""
    boot_method: BootMethod | None = None

    @property
    def target(self) -> Target:
        """What the nodes boot."""
        return self.kernel or self.environment or self.partition or PresentEntry()


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerSpec:
    """How the power of nodes is switched. `level` None: hard."""

    action: PowerAction
    level: RebootLevel | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationSpec:
    """What the user asked for. `ends_with_call`: nobody can ask for it again, so it ends when its caller hangs up."""

    kind: OperationKind
    nodes: str
    reboot: RebootSpec = RebootSpec()
    power: PowerSpec | None = None
    ends_with_call: bool = False
    busy_policy: BusyPolicy = BusyPolicy.EXCLUDE

    @property
    def listed(self) -> "OperationSpec":
        """What lists tell of it: no kernel arguments, and of a long node set its beginning."""
        nodes = self.nodes if len(self.nodes) <= LISTED_NODES else f"{self.nodes[:LISTED_NODES]}…"
        return replace(self, nodes=nodes, reboot=replace(self.reboot, kernel_arguments=""))

    @property
    def action(self) -> str:
        """What is done, in words: "hard reboot into vda3", "power off, soft"."""
        if self.kind is OperationKind.POWER and self.power is not None:
            level = f", {_word(self.power.level)}" if self.power.level else ""
            return f"power {self.power.action}{level}"
        if self.kind is OperationKind.REBOOT:
            how = f"{_word(self.reboot.level)} reboot" if self.reboot.level else "reboot"
            how = "prepare a reboot" if self.reboot.prepare_only else how
            into = _target_in_words(self.reboot.target)
            return f"{how} into {into}" if into else how
        return "run a command"

    @property
    def verb(self) -> str:
        """What is done, as a sentence says it before the nodes: "reboot"."""
        return VERBS[self.kind]


def _word(level: RebootLevel) -> str:
    return level.value.replace("_", " ")


def _target_in_words(target: Target) -> str:
    match target:
        case DeploymentKernel(label=label):
            return f"the deployment environment{f' {label}' if label else ''}"
        case DeployedEnvironment(name=name, version=version):
            return f"environment {name}{f' version {version}' if version else ''}"
        case DeployedPartition(device=device, partition=number):
            return (
                f"partition {device}{number}" if number else f"the default partition{f' of {device}' if device else ''}"
            )
        case _:
            return ""


VERBS = {
    OperationKind.REBOOT: "reboot",
    OperationKind.POWER: "switch the power of",
    OperationKind.COMMAND: "run commands on",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(NodeWork):
    """A reboot, a power change or a command on many nodes."""

    spec: OperationSpec


AnyOperation = Deployment | Operation
"""Whatever is done to nodes."""


def outcome_of(operation: Operation) -> tuple[bool, str]:
    """Returns whether an operation did what was asked on every node, and one sentence on how it ended.

    A node that was left out counts as failed: an operation is asked for by the names of its nodes.
    """
    bad = [node for node in operation.nodes if not node.succeeded]
    count = len(operation.nodes)
    text = f"{count - len(bad)} of {count} nodes {_PAST[operation.spec.kind]}"
    if operation.spec.kind is OperationKind.REBOOT and operation.spec.reboot.prepare_only:
        text = f"{count - len(bad)} of {count} nodes prepared"
    return not bad, f"{text}; failed: {list_of(bad)}" if bad else text


_PAST = {OperationKind.REBOOT: "rebooted", OperationKind.POWER: "switched", OperationKind.COMMAND: "done"}


def stopped(node: str, *, begun: bool) -> Failure:
    """Returns the failure of a node that had no outcome yet when its operation was cancelled."""
    what = "was begun, and nobody looked what became of it" if begun else "was left alone"
    return Failure(reason=FailureReason.CANCELLED, description=f"{node} {what}: the operation was stopped")
