"""The ports that steps use, in one value."""

from dataclasses import dataclass, field

from kadeploy_deployer.ports.boot import Boot
from kadeploy_deployer.ports.boot_watch import BootWatch, NullBootWatch
from kadeploy_deployer.ports.broadcast import Broadcast
from kadeploy_deployer.ports.clock import Clock
from kadeploy_deployer.ports.image_store import ImageStore
from kadeploy_deployer.ports.power import Power
from kadeploy_deployer.ports.remote_shell import RemoteShell


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPorts:
    """The world, as far as steps may touch it."""

    shell: RemoteShell
    power: Power
    boot: Boot
    images: ImageStore
    broadcast: Broadcast
    clock: Clock
    boot_watch: BootWatch = field(default_factory=NullBootWatch)
