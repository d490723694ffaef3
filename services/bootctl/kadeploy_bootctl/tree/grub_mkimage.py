"""Running grub-mkimage: argument lists, bounded, nothing on the disk (the configuration goes in and out by memory)."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kadeploy_edge.errors import Exhausted, Missing

PROGRAM = "grub-mkimage"
SECONDS = 30.0
_SYSTEM_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"

_DISKS = ("part_msdos", "part_gpt", "ext2", "xfs", "btrfs", "fat", "lvm", "mdraid1x")
_COMMANDS = ("normal", "linux", "boot", "echo", "sleep", "reboot", "test", "configfile")
BIOS_MODULES = ("biosdisk", *_DISKS, *_COMMANDS)
UEFI_MODULES = (
    *("efinet", "tftp", "http", "net"),
    *_DISKS,
    *_COMMANDS,
    *(
        "chain",
        "multiboot2",
        "search",
        "search_fs_file",
        "search_fs_uuid",
        "search_label",
        "halt",
        "serial",
        "terminal",
    ),
    *("regexp", "gzio", "ls", "cat"),
)


class GrubMissing(Missing):
    """This host does not have GRUB's tools or modules."""

    reason = "GRUB_MISSING"

    def __init__(self, path: str, package: str) -> None:
        super().__init__(
            f"the host of the TFTP tree lacks {path}: apt-get install {package}",
            metadata={"path": path, "package": package},
        )


class GrubFailed(Exhausted):
    """grub-mkimage could not make an image."""

    reason = "GRUB_FAILED"

    def __init__(self, problem: str) -> None:
        super().__init__(f"{PROGRAM} cannot make the image: {problem}", metadata={"problem": problem})


@dataclass(frozen=True, slots=True, kw_only=True)
class GrubMkimage:
    """Makes loaders from the modules of this host.

    Attributes:
        directory: where Debian's packages put GRUB's modules.
        search_path: where grub-mkimage is looked for.
    """

    directory: Path
    search_path: str = _SYSTEM_PATH

    def bios_image(self, configuration: str) -> bytes:
        """Returns an image that pxelinux starts as if it were a kernel. Raises GrubMissing, GrubFailed."""
        modules = self._modules("i386-pc", "grub-pc-bin")
        start = modules / "lnxboot.img"
        if not start.is_file():
            raise GrubMissing(str(start), "grub-pc-bin")
        return start.read_bytes() + self._run(modules, configuration, prefix="/grub", names=BIOS_MODULES)

    def uefi_image(self, configuration: str) -> bytes:
        """Returns an image that firmware with UEFI starts from the network. Raises GrubMissing, GrubFailed."""
        modules = self._modules("x86_64-efi", "grub-efi-amd64-bin")
        # Without a prefix GRUB takes the directory that it was fetched from.
        return self._run(modules, configuration, prefix="", names=UEFI_MODULES)

    def _modules(self, platform: str, package: str) -> Path:
        modules = self.directory / platform
        if not (modules / "moddep.lst").is_file():
            raise GrubMissing(str(modules), package)
        return modules

    def _run(self, modules: Path, configuration: str, *, prefix: str, names: tuple[str, ...]) -> bytes:
        program = shutil.which(PROGRAM, path=self.search_path)
        if program is None:
            raise GrubMissing(PROGRAM, "grub-common")
        # It wants files that it can seek and sync, so no pipes; these are in memory.
        with _memory_file("grub.cfg") as inside, _memory_file("image") as image:
            inside.write(configuration.encode("ascii"))
            inside.flush()
            command = [
                program,
                *("--format", modules.name, "--directory", str(modules)),
                *("--prefix", prefix, "--config", _path_of(inside), "--output", _path_of(image)),
                *names,
            ]
            self._execute(command, (inside.fileno(), image.fileno()))
            return image.read()

    def _execute(self, command: list[str], descriptors: tuple[int, ...]) -> None:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=SECONDS,
                check=False,
                cwd="/",
                env={"PATH": self.search_path, "LC_ALL": "C"},
                pass_fds=descriptors,
            )
        except subprocess.TimeoutExpired:
            raise GrubFailed(f"it did not end within {SECONDS:g} s") from None
        except OSError as error:
            raise GrubFailed(f"it cannot be started: {error.strerror}") from error
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise GrubFailed(said[-1] if said else f"it ended with status {done.returncode}")


def _memory_file(name: str) -> BinaryIO:
    return os.fdopen(os.memfd_create(name, os.MFD_CLOEXEC), "w+b")


def _path_of(file: BinaryIO) -> str:
    return f"/proc/self/fd/{file.fileno()}"
