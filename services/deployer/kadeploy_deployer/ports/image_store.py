"""Bringing the files of environments here. Adapter: `adapters/image_store.py`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kadeploy_deployer.domain.snapshot import EnvironmentSnapshot, FileSnapshot


class ImageError(Exception):
    """An image or archive cannot be used: absent, unreadable, other digest than registered; `str()` is one sentence."""


class DigestDiffers(ImageError):
    """The content of a file is not the one that was registered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFiles:
    """What boots an environment, taken out of its image, as local files; None where the environment has none."""

    kernel: Path
    kernel_digest: str
    initrd: Path | None
    initrd_digest: str
    hypervisor: Path | None = None
    hypervisor_digest: str = ""


class ImageStore(Protocol):
    """Brings the files of environments to this host and proves them."""

    async def fetch(self, file: FileSnapshot) -> Path:
        """Returns a local path whose content was checked against the registered digest and size. Raises ImageError."""
        ...

    async def read(self, file: FileSnapshot) -> bytes:
        """Returns the content of a file, checked as `fetch` checks it. Raises ImageError."""
        ...

    async def boot_files(self, environment: EnvironmentSnapshot) -> BootFiles:
        """Takes kernel, initrd and hypervisor out of the image, following links inside it; kept by the image's digest.

        Raises ImageError.
        """
        ...
