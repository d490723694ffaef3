"""The parts that servicers hand to use cases, put together by `bootstrap`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kadeploy_deployer.domain.host_finding import HostFinding
from kadeploy_deployer.engine.event_log import EventLog
from kadeploy_deployer.engine.shared_context import RunnerSettings
from kadeploy_deployer.engine.supervisor import Supervisor
from kadeploy_deployer.ports import Clock, Inventory
from kadeploy_deployer.ports.deployment_store import DeploymentStore
from kadeploy_deployer.requests.node_access import ControlParts
from kadeploy_deployer.requests.uploads import Uploads


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """One deployer process. `longest_wait`: seconds that a request may want to wait. `check_host`: blocks."""

    store: DeploymentStore
    supervisor: Supervisor
    log: EventLog
    inventory: Inventory
    clock: Clock
    runner_settings: RunnerSettings
    control: ControlParts
    longest_wait: float
    uploads: Uploads
    check_host: Callable[[], Sequence[HostFinding]] = tuple
