#!/usr/bin/env python3
"""Builds an environment: an image of a root file system, its description and its post-install archive.

The images hold no keys: the deployer brings the user's, and the post-install script makes the node's.
"""

import argparse
import gzip
import hashlib
import shutil
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
if __name__ == "__main__":  # run as a file, its own folder stands on the path instead of the one above
    sys.path[0] = str(REPOSITORY / "lab")

from environments.description import Description  # noqa: E402
from environments.image import SUFFIXES, Image, stored_image  # noqa: E402
from kadeploy_deployenv.archive import tar  # noqa: E402
from kadeploy_deployenv.failure import BuildFailure  # noqa: E402
from kadeploy_deployenv.file_tree import FileTree  # noqa: E402
from kadeploy_deployenv.workspace import (  # noqa: E402
    digest_files,
    hand_over,
    is_current,
    locked,
    write_manifest,
    write_whole,
)

HOME = REPOSITORY / "lab/environments"
CACHE = REPOSITORY / "build/cache"


# Where an environment has none of its own.
_POSTINSTALLS = {"raw": "tiny", "tiny-hardware": "tiny", "debian-host": "debian"}
DESCRIPTIONS = {
    "tiny": "busybox and dropbear on Debian's kernel, for tests",
    "tiny-hardware": "the tiny system with a kernel and drivers for other machines than virtio's, for tests",
    "raw": "the tiny system as a raw image of a partition with its own boot loader, for tests",
    "debian": "Debian 12 with systemd and OpenSSH, as small as it gets",
    "debian-host": "the same with what Kadeploy's own services need of Debian, for tests",
}


def build(name: str, *, output: Path, cache: Path) -> bool:
    """Builds the environment `name` into `output`; returns False if everything there was up to date."""
    with locked(cache / "environments"):
        # The description names the image by its absolute path, so the place of the output is an input.
        sources = digest_files([HOME, REPOSITORY / "deployenv"])
        inputs = hashlib.sha256(f"{sources}\0{output.absolute()}".encode()).hexdigest()
        if is_current(output, inputs):
            return False
        image = stored_image(name, cache)
        packed = image_file(name)
        place(image.archive, output / packed)
        files = {
            f"{name}-postinstall.tgz": postinstall_archive(name),
            f"{name}.env": describe(name, image, output.absolute()).render().encode(),
        }
        for file, content in files.items():
            write_whole(output / file, content)
        write_manifest(
            output,
            inputs=inputs,
            files=(packed, *files),
            facts={
                "files_in_image": image.file_count,
                "unpacked_bytes": image.unpacked_bytes,
                "packages": image.packages,
            },
        )
    return True


def image_file(name: str) -> str:
    """Returns the name of an environment's image."""
    return f"{name}.{SUFFIXES[name]}"


def describe(name: str, image: Image, folder: Path) -> Description:
    """Returns the description of an environment whose files lie in `folder`."""
    return Description(
        name=name,
        version=1,
        description=DESCRIPTIONS[name],
        author="root@localhost",
        size=-(-image.unpacked_bytes // 1_000_000),
        kernelpath=image.kernel or "chainload",
        initrdpath=image.initrd,
        kernelparam="console=ttyS0,115200 net.ifnames=0 mitigations=off quiet" if image.kernel else "",
        filebase=str(folder / image_file(name)),
        filesite=str(folder / f"{name}-postinstall.tgz"),
        fdisktype="83",
        filesystem="ext4",
    )


def postinstall_archive(name: str) -> bytes:
    """Returns the archive that is unpacked into /rambin, with traitement.ash in it."""
    tree = FileTree()
    tree.copy_tree(HOME / "postinstall")
    tree.copy_tree(HOME / _POSTINSTALLS.get(name, name) / "postinstall")
    return gzip.compress(tar(tree.entries()), mtime=0)


def place(source: Path, target: Path) -> None:
    """Puts a file of the cache where it is wanted, as a second name where that is possible; everybody may read it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # A deployer opens no image that is not for all.
    source.chmod(0o644)
    if target.exists() and target.samefile(source):
        return
    fresh = target.with_name(f".{target.name}.new")
    fresh.unlink(missing_ok=True)
    try:
        fresh.hardlink_to(source)
    except OSError:  # another file system
        shutil.copy(source, fresh)
    fresh.replace(target)


def main() -> int:
    """Reads the command line and builds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(DESCRIPTIONS), help="which environment")
    parser.add_argument("--output", type=Path, help="folder for the result (build/environments/NAME)")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder for what can be kept")
    options = parser.parse_args()
    output: Path = options.output or REPOSITORY / "build/environments" / options.name
    try:
        fresh = build(options.name, output=output, cache=options.cache.absolute())
        hand_over(options.cache, output)
    except BuildFailure as failure:
        print(f"environment {options.name}: {failure}", file=sys.stderr)
        return 1
    size = (output / image_file(options.name)).stat().st_size / 1e6
    print(f"{output}: {'built' if fresh else 'up to date'}, {image_file(options.name)} {size:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
