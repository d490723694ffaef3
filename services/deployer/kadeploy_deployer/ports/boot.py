"""Saying what nodes boot next. Adapter: `adapters/boot_grpc.py`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kadeploy_deployer.domain.snapshot import NodeSnapshot


class BootError(Exception):
    """bootctl refused or did not answer; `str()` is one sentence."""


class BootUnreachable(BootError):
    """bootctl did not answer: the same call may go well a moment later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootDeploymentKernel:
    """Boot the deployment environment."""

    label: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BootNetworkKernel:
    """Boot an uploaded kernel. Digests are "sha256:<hex>"; `initrd_digest` may be empty."""

    kernel_digest: str
    initrd_digest: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BootLocalDisk:
    """Boot what the firmware finds on the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootChainload:
    """Boot the loader of a partition. `disk` from 0 in the firmware's order."""

    disk: int
    partition: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BootGrubDisk:
    """Let GRUB, from the network, boot the kernel on the node's own disk. `device` without "/dev/"."""

    device: str
    partition: int
    kernel_path: str
    initrd_path: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BootHypervisor:
    """Boot an uploaded hypervisor with an uploaded kernel, whose arguments are `arguments`. The initrd may be empty."""

    hypervisor_digest: str
    hypervisor_arguments: str
    kernel_digest: str
    initrd_digest: str
    arguments: str


BootTarget = BootDeploymentKernel | BootNetworkKernel | BootLocalDisk | BootChainload | BootGrubDisk | BootHypervisor


class Boot(Protocol):
    """Says what nodes boot next.

    Writing entries passes the fence (`engine.fence`) right before, and raises what that raises.
    """

    async def set_entries(
        self, targets: Mapping[str, BootTarget], nodes: Mapping[str, NodeSnapshot], *, owner: str
    ) -> Mapping[str, str]:
        """Writes one entry per node; returns an error sentence for each that failed. Raises BootError for all."""
        ...

    async def render_entries(
        self, targets: Mapping[str, BootTarget], nodes: Mapping[str, NodeSnapshot], *, owner: str
    ) -> Mapping[str, Sequence[tuple[str, str]]]:
        """Returns (path, text) of each file that set_entries would write, per node. Raises BootError."""
        ...

    async def upload(self, path: Path, *, digest: str, description: str) -> None:
        """Uploads a file unless bootctl has it. Raises BootError."""
        ...
