"""Finds the kernel and its modules: in the unpacked packages, in a package of the site's own, or on this machine."""

import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

from kadeploy_deployenv.commands import run
from kadeploy_deployenv.failure import BuildFailure
from kadeploy_deployenv.workspace import sha256

# The Linux boot protocol: "HdrS" at 0x202, and at 0x20e where the version stands, counted from 0x200.
_MAGIC_AT, _MAGIC = 0x202, b"HdrS"
_VERSION_AT = 0x20E
_EXTRACT_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A kernel and its module tree.

    Attributes:
        image: the file that boot loaders take.
        release: as `uname -r` says it.
        modules: the tree that holds "kernel/", "modules.builtin" and so on.
    """

    image: Path
    release: str
    modules: Path


def packaged_kernel(root: Path) -> Kernel:
    """Returns the one kernel below the root of unpacked packages. Raises BuildFailure if there is none."""
    images = sorted((root / "boot").glob("vmlinuz-*"))
    if not images:
        raise BuildFailure(f"{root} has no kernel boot/vmlinuz-*")
    if len(images) > 1:
        raise BuildFailure(f"{root} has more than one kernel: {', '.join(image.name for image in images)}")
    release = images[0].name.removeprefix("vmlinuz-")
    for folder in ("usr/lib/modules", "lib/modules"):
        modules = root / folder / release
        if (modules / "kernel").is_dir():
            return Kernel(image=images[0], release=release, modules=modules)
    raise BuildFailure(f"{root} has the kernel {release}, but no modules of it")


def site_kernel(file: Path, cache: Path, *, modules: Path = Path("/lib/modules")) -> Kernel:
    """Returns the kernel that a site brings.

    Args:
        file: a Debian package with a kernel and its modules, as the kernel's `make bindeb-pkg` makes it; or a kernel
            image, whose modules lie below `modules`.
        cache: takes an unpacked package.
        modules: where this machine has modules.

    Raises BuildFailure if it is neither.
    """
    if not file.is_file():
        raise BuildFailure(f"--kernel {file}: there is no such file")
    if file.suffix == ".deb":
        return packaged_kernel(_unpacked(file, cache))
    release = image_release(file)
    if not (modules / release / "kernel").is_dir():
        raise BuildFailure(f"--kernel {file}: its modules are not here: {modules / release}")
    return Kernel(image=file, release=release, modules=modules / release)


def image_release(file: Path) -> str:
    """Returns the release of a kernel image, from its own header. Raises BuildFailure if it is none."""
    with file.open("rb") as image:
        head = image.read(0x10000)
    if head[_MAGIC_AT : _MAGIC_AT + 4] != _MAGIC:
        raise BuildFailure(f"{file} is neither a kernel for x86 (bzImage) nor a Debian package (.deb)")
    (offset,) = struct.unpack_from("<H", head, _VERSION_AT)
    text = head[0x200 + offset :].split(b"\0", 1)[0].decode("ascii", errors="replace")
    release = text.split(" ", 1)[0]
    if not offset or not release:
        raise BuildFailure(f"{file} does not say which release it is")
    return release


def _unpacked(deb: Path, cache: Path) -> Path:
    folder = cache.absolute() / f"kernel-{sha256(deb)[:16]}"
    if not folder.exists():
        for old in cache.glob("kernel-*"):
            shutil.rmtree(old)
        fresh = folder.with_name(".kernel.new")
        shutil.rmtree(fresh, ignore_errors=True)
        run(["dpkg-deb", "--extract", str(deb), str(fresh)], package="dpkg", seconds=_EXTRACT_SECONDS)
        fresh.rename(folder)
    return folder
