"""The raw environment: the tiny system as the image of a whole partition, with a boot loader of its own (extlinux).

It also holds what deploying from a running system takes: the node's side of the broadcast, and a real tar and blkid.
"""

import gzip
import os
import shutil
import subprocess
from pathlib import Path

from environments.tiny_system import tiny_system
from kadeploy_deployenv import recipe
from kadeploy_deployenv.failure import BuildFailure
from kadeploy_deployenv.file_tree import FileTree
from kadeploy_deployenv.ingredients import Ingredients
from kadeploy_deployenv.system import add_libraries, add_node_programs, add_programs

HOME = Path(__file__).parent / "raw"
IMAGE_BYTES = 72 << 20

_SECONDS = 120
# With the shell of the deployment environment: that of busybox prefers its own applets to programs on the path.
_PROGRAMS = ("dash", "gzip", "tar", "blkid")
_LINKS = ("usr/bin/sh",)


def raw_system(packages: Ingredients, *, cache: Path) -> FileTree:
    """Returns the whole root file system; `cache`: of the deployment environment, whose lock the caller holds."""
    tree = tiny_system(packages)
    add_programs(tree, packages.root, _PROGRAMS)
    for path in _LINKS:
        tree.symlink(path, recipe.LINKS[path])
    add_node_programs(tree, packages.root, cache=cache)
    add_libraries(tree, packages.root)
    tree.file("boot/extlinux/extlinux.conf", (HOME / "extlinux.conf").read_bytes())
    return tree


def write_image(archive: bytes, target: Path, *, scratch: Path) -> None:
    """Writes the image, packed by gzip, from a tar archive of the root file system.

    Needs root: the loader is installed in a mounted file system.
    """
    if os.geteuid() != 0:
        raise BuildFailure("the loader of a raw image is installed in a mounted file system; run this as root")
    image, mount_point = scratch / "raw.img", scratch / "mounted"
    mount_point.mkdir()
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    command = ["unshare", "--mount", "--propagation", "private", str(HOME / "fill-image"), str(image), str(mount_point)]
    try:
        subprocess.run(command, input=archive, capture_output=True, check=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        raise BuildFailure(f"the raw image was not filled in {_SECONDS} s; try again") from None
    except subprocess.CalledProcessError as error:
        last = (error.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
        raise BuildFailure(f"the raw image cannot be filled: {last}") from error
    fresh = target.with_name(f".{target.name}.new")
    with (
        image.open("rb") as source,
        fresh.open("wb") as packed,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=packed, mtime=0) as sink,
    ):
        shutil.copyfileobj(source, sink, 1 << 20)
    fresh.replace(target)
