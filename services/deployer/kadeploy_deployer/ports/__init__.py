"""The ports: all that the deployer wants of the world, and nothing about how it is done.

One file each. Each has a real adapter in `adapters/` (or `broadcast/`) and a named fake in the tests; both pass the
same contract tests. Whoever needs a port imports it from here.
"""

from kadeploy_deployer.ports.boot import (
    Boot,
    BootChainload,
    BootDeploymentKernel,
    BootError,
    BootGrubDisk,
    BootHypervisor,
    BootLocalDisk,
    BootNetworkKernel,
    BootTarget,
    BootUnreachable,
)
from kadeploy_deployer.ports.broadcast import (
    Broadcast,
    BroadcastSession,
    BroadcastSink,
    BroadcastTarget,
    OnProgress,
    Received,
    ReceiveFailed,
)
from kadeploy_deployer.ports.clock import Clock, Timer
from kadeploy_deployer.ports.console import Console, ConsoleError, ConsoleLine
from kadeploy_deployer.ports.image_store import BootFiles, DigestDiffers, ImageError, ImageStore
from kadeploy_deployer.ports.inventory import Inventory, NodeResolution, Resolution, ResolvedNode
from kadeploy_deployer.ports.opened_file import OpenedFile
from kadeploy_deployer.ports.power import Power, PowerError
from kadeploy_deployer.ports.remote_shell import (
    LAST_OUTPUT_BYTES,
    CommandResult,
    CommandTimedOut,
    NodeUnreachable,
    OnPart,
    OtherHostKey,
    RemoteShell,
    ShellError,
    ShellHost,
    UnprovedResult,
)

__all__ = [
    "LAST_OUTPUT_BYTES",
    "Boot",
    "BootChainload",
    "BootDeploymentKernel",
    "BootError",
    "BootFiles",
    "BootGrubDisk",
    "BootHypervisor",
    "BootLocalDisk",
    "BootNetworkKernel",
    "BootTarget",
    "BootUnreachable",
    "Broadcast",
    "BroadcastSession",
    "BroadcastSink",
    "BroadcastTarget",
    "Clock",
    "CommandResult",
    "CommandTimedOut",
    "Console",
    "ConsoleError",
    "ConsoleLine",
    "DigestDiffers",
    "ImageError",
    "ImageStore",
    "Inventory",
    "NodeResolution",
    "NodeUnreachable",
    "OnPart",
    "OnProgress",
    "OpenedFile",
    "OtherHostKey",
    "Power",
    "PowerError",
    "ReceiveFailed",
    "Received",
    "RemoteShell",
    "Resolution",
    "ResolvedNode",
    "ShellError",
    "ShellHost",
    "Timer",
    "UnprovedResult",
]
