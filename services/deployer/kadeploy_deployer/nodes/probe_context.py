"""What looking at nodes and rebooting them takes."""

from collections.abc import Mapping
from typing import Protocol

from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.ports.recorder import Recorder
from kadeploy_deployer.ports.step_ports import StepPorts


class ProbeContext(Protocol):
    """What looking at nodes and rebooting them takes: a part of a step's context, or of an operation's."""

    @property
    def nodes(self) -> Mapping[str, NodeSnapshot]:
        """The nodes, by name."""

    @property
    def ports(self) -> StepPorts:
        """The world."""

    @property
    def recorder(self) -> Recorder:
        """Where remarks go."""

    @property
    def deployment_host_keys(self) -> tuple[str, ...]:
        """Public keys of the deployment environment's sshd."""
