"""Names and places in the TFTP tree; nothing here touches it."""

from dataclasses import dataclass
from pathlib import Path

from kadeploy_bootctl.domain.boot_entry import BootNode, file_names

STATE_DIRECTORY = ".bootctl"
DEFAULT_NAME = "default"
GRUB_DEFAULT_NAME = "grub.cfg"
DEFAULT_NAMES = (DEFAULT_NAME, GRUB_DEFAULT_NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """One place where network cards look for their loader, relative to the TFTP root.

    Attributes:
        path: "PXEClient" or "X86PC/linux".
        configuration: the directory of the nodes' files.
        files: the directory of kernels and initrds.
        loader: the file name of the loader that DHCP names.
    """

    path: str
    configuration: str
    files: str
    loader: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The whole tree. The first repository holds our own notes, in `images_grub/.bootctl`."""

    root: Path
    repositories: tuple[Repository, ...]

    @property
    def state(self) -> str:
        """Our notes: not readable for the TFTP server, so no machine can fetch them."""
        return f"{self.repositories[0].files}/{STATE_DIRECTORY}"

    @property
    def entry_notes(self) -> str:
        """One note for each entry, named as its node."""
        return f"{self.state}/entries"

    @property
    def file_notes(self) -> str:
        """One note for each boot file, named as the file."""
        return f"{self.state}/files"

    @property
    def public_directories(self) -> tuple[str, ...]:
        """The directories that bootctl writes and machines read: the only ones that it must be able to write."""
        return tuple(path for place in self.repositories for path in (place.configuration, place.files))

    @property
    def private_directories(self) -> tuple[str, ...]:
        """The directories of our notes, parents first."""
        return (self.state, self.entry_notes, self.file_notes)

    def entry_paths(self, node: BootNode) -> tuple[str, ...]:
        """Returns every file of a node."""
        return tuple(f"{place.configuration}/{name}" for place in self.repositories for name in file_names(node))


def repository(path: str, *, configuration: str, files: str, loader: str) -> Repository:
    """Returns a repository from the settings' words; slashes at the ends are allowed as they always were."""
    base = path.strip("/")
    return Repository(
        path=base,
        configuration=f"{base}/{configuration.strip('/')}",
        files=f"{base}/{files.strip('/')}",
        loader=loader,
    )
