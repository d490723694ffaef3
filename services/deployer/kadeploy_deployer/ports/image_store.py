"""Bringing the files of environments here. Adapter: `adapters/image_store.py`."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kadeploy_deployer.domain.snapshot import EnvironmentSnapshot, FileSnapshot
from kadeploy_deployer.ports.opened_file import OpenedFile


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
    """Brings the files of environments to this host and proves them. `user`: for whom, so that each has their share."""

    def check(self, file: FileSnapshot) -> None:
        """Raises ImageError if the site has nothing fetched from where a file is. Looks at nothing but its address."""
        ...

    def fetch(self, file: FileSnapshot, *, user: str) -> AbstractAsyncContextManager[OpenedFile]:
        """Opens a file whose content was checked against the registered digest and size, for as long as it is needed.

        Whoever may write to it may change it afterwards: who reads it proves it once more.

        Raises:
            ImageError: on entry.
        """
        ...

    async def boot_files(self, environment: EnvironmentSnapshot, *, user: str) -> BootFiles:
        """Takes kernel, initrd and hypervisor out of the image, following links inside it; kept by the image's digest.

        Raises ImageError.
        """
        ...
