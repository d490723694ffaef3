#!/usr/bin/env python3
"""Builds the deployment environment: the kernel and initramfs that nodes boot while they are deployed.

Needs no root and installs nothing on this machine.
"""

import argparse
import hashlib
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
if __name__ == "__main__":  # run as a file, its own folder stands on the path instead of the repository
    sys.path[0] = str(REPOSITORY)

from deployenv import recipe  # noqa: E402
from deployenv.archive import compress_zstd, cpio  # noqa: E402
from deployenv.failure import BuildFailure  # noqa: E402
from deployenv.file_tree import FileTree  # noqa: E402
from deployenv.host_key import HostKey, host_key  # noqa: E402
from deployenv.ingredients import Ingredients, ingredients  # noqa: E402
from deployenv.packages import python_wheel  # noqa: E402
from deployenv.system import deployment_system  # noqa: E402
from deployenv.workspace import (  # noqa: E402
    digest_files,
    is_current,
    locked,
    write_manifest,
    write_whole,
)

SOURCES = REPOSITORY / "deployenv"
CACHE = REPOSITORY / "build/cache/deployenv"


def build(*, output: Path, authorized_key: Path, cache: Path) -> bool:
    """Builds into `output`; returns False if everything there was up to date."""
    if not authorized_key.is_file():
        raise BuildFailure(f"there is no public key {authorized_key}; make one with ssh-keygen")
    with locked(cache):
        system_inputs = digest_files([SOURCES])
        inputs = hashlib.sha256(system_inputs.encode() + authorized_key.read_bytes()).hexdigest()
        if is_current(output, inputs):
            return False
        packages = ingredients(cache)
        key = host_key(packages.root, cache=cache)
        system = _system_archive(packages, system_inputs, cache)
        # The keys come first and uncompressed: a new key then costs no new compression.
        initrd = cpio(key_files(key, authorized_key.read_bytes()).entries()) + system
        output.mkdir(parents=True, exist_ok=True)
        write_whole(output / "vmlinuz", packages.kernel)
        write_whole(output / "initrd.img", initrd)
        write_whole(output / "ssh_host_ed25519_key.pub", f"{key.public}\n".encode())
        write_manifest(
            output,
            inputs=inputs,
            files=("vmlinuz", "initrd.img", "ssh_host_ed25519_key.pub"),
            facts={"kernel": packages.kernel_release, "packages": packages.versions, "python": recipe.BLAKE3},
        )
    return True


def key_files(key: HostKey, authorized_keys: bytes) -> FileTree:
    """Returns the files that differ from cluster to cluster."""
    tree = FileTree()
    tree.directory("root", 0o700)
    tree.directory("root/.ssh", 0o700)
    tree.file("root/.ssh/authorized_keys", authorized_keys, 0o600)
    tree.file("etc/dropbear/ssh_host_ed25519_key", key.private, 0o600)
    return tree


def _system_archive(packages: Ingredients, inputs: str, cache: Path) -> bytes:
    stored = cache / f"system-{inputs[:16]}.cpio.zst"
    if not stored.exists():
        wheel = python_wheel(recipe.BLAKE3, recipe.BLAKE3_SHA256, cache=cache)
        tree = deployment_system(packages.root, kernel_release=packages.kernel_release, wheel=wheel)
        archive = cpio(tree.entries())
        print(f"compressing {len(archive) / 1e6:.1f} MB", flush=True)
        for old in cache.glob("system-*.cpio.zst"):
            old.unlink()
        write_whole(stored, compress_zstd(archive))
    return stored.read_bytes()


def main() -> int:
    """Reads the command line and builds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder for the result")
    parser.add_argument("--authorized-key", type=Path, required=True, help="public key that may log in as root")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder for what can be kept")
    options = parser.parse_args()
    output: Path = options.output
    try:
        fresh = build(output=output, authorized_key=options.authorized_key, cache=options.cache.absolute())
    except BuildFailure as failure:
        print(f"deployenv: {failure}", file=sys.stderr)
        return 1
    size = (output / "initrd.img").stat().st_size / 1e6
    print(f"{output}: {'built' if fresh else 'up to date'}, initrd.img {size:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
