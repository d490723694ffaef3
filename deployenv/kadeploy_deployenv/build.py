"""Builds the deployment environment: the kernel and initramfs that nodes boot while they are deployed.

Needs no root and installs nothing on this machine.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from kadeploy_deployenv import recipe
from kadeploy_deployenv.apt import SUITE, SUITES
from kadeploy_deployenv.archive import build_time, compress_zstd, cpio
from kadeploy_deployenv.failure import BuildFailure
from kadeploy_deployenv.file_tree import FileTree
from kadeploy_deployenv.firmware import HOME as FIRMWARE_HOME
from kadeploy_deployenv.firmware import choose_firmware, report
from kadeploy_deployenv.hook import Hook, read_hook
from kadeploy_deployenv.host_key import HostKey, host_key
from kadeploy_deployenv.ingredients import Ingredients, ingredients
from kadeploy_deployenv.profiles import VIRTUAL, Profile
from kadeploy_deployenv.system import NODE_PACKAGES, deployment_system
from kadeploy_deployenv.workspace import digest_files, is_current, locked, sha256, write_manifest, write_whole

HOME = Path(__file__).parent
FILES = ("vmlinuz", "initrd.img", "ssh_host_ed25519_key.pub")
_ALIGNMENT = 4  # where the kernel looks for the next archive


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """What is built, and from what.

    Attributes:
        output: folder for the result.
        authorized_key: public keys that may log in as root.
        cache: folder for what can be kept.
        profile: kind of machines.
        suite: of Debian.
        kernel: a kernel of the site's own; None: the profile's.
        modules: names of kernel modules besides the profile's.
        firmware: take firmware in, from Debian's non-free-firmware.
        hook: what the site adds; None: nothing.
        mirrors: where packages come from; none: as this machine's apt says.
        host_key: private host key in dropbear's format; None: made once and kept in the cache.
    """

    output: Path
    authorized_key: Path
    cache: Path
    profile: Profile = VIRTUAL
    suite: str = SUITE
    kernel: Path | None = None
    modules: tuple[str, ...] = ()
    firmware: bool = False
    hook: Path | None = None
    mirrors: tuple[str, ...] = ()
    host_key: Path | None = None

    def digest(self, time: int) -> str:
        """Returns what stands for everything that the system is made from but the versions of packages."""
        sources = digest_files(
            [HOME, *(folder for _, folder in NODE_PACKAGES.values()), *([self.hook] if self.hook else [])]
        )
        words = [
            sources, self.profile.name, self.suite, self.firmware, time,
            sha256(self.kernel) if self.kernel else "", sorted(self.modules), self.mirrors,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()


def build(request: BuildRequest) -> bool:
    """Builds; returns False if everything in the output was up to date. Raises BuildFailure."""
    _check(request)
    time = build_time()
    hook = read_hook(request.hook)
    output = request.output
    with locked(request.cache):
        system_inputs = request.digest(time)
        host_keys = request.host_key.read_bytes() if request.host_key else b""
        inputs = hashlib.sha256(system_inputs.encode() + request.authorized_key.read_bytes() + host_keys).hexdigest()
        if is_current(output, inputs):
            return False
        parts = ingredients(
            request.cache,
            profile=request.profile,
            suite=request.suite,
            packages=(*request.profile.packages, *hook.packages),
            mirrors=request.mirrors,
            kernel=request.kernel,
            firmware=request.firmware,
        )
        key = host_key(parts.root, cache=request.cache, given=request.host_key)
        system = _system(request, parts, hook, system_inputs, time)
        # The keys come first and uncompressed: a new key then costs no new compression.
        keys = cpio(key_files(key, request.authorized_key.read_bytes()).entries(), time=time)
        check_size(request.profile, len(keys) + len(system.archive))
        initrd = keys + system.archive + system.firmware
        output.mkdir(parents=True, exist_ok=True)
        write_whole(output / "vmlinuz", parts.kernel.image.read_bytes())
        write_whole(output / "initrd.img", initrd)
        write_whole(output / "ssh_host_ed25519_key.pub", f"{key.public}\n".encode())
        write_manifest(
            output,
            inputs=inputs,
            files=FILES,
            facts={
                "profile": request.profile.name,
                "suite": request.suite,
                "kernel": parts.kernel.release,
                "packages": parts.versions,
                "python": recipe.BLAKE3,
                "source_date_epoch": time,
                "firmware_bytes": len(system.firmware),
                "firmware_not_included": system.missing,
            },
        )
    return True


def _check(request: BuildRequest) -> None:
    if not request.authorized_key.is_file():
        raise BuildFailure(f"there is no public key {request.authorized_key}; make one with ssh-keygen")
    if request.host_key and not request.host_key.is_file():
        raise BuildFailure(f"--host-key {request.host_key}: there is no such file")
    if request.kernel and not request.kernel.is_file():
        raise BuildFailure(f"--kernel {request.kernel}: there is no such file")
    if request.suite not in SUITES:
        raise BuildFailure(f"--suite {request.suite}: only {' and '.join(SUITES)} are known")


def check_size(profile: Profile, size: int) -> None:
    """Raises BuildFailure if an initramfs without firmware is larger than its profile allows."""
    if size > profile.maximum_bytes:
        raise BuildFailure(
            f"initrd.img without firmware is {size / 1e6:.1f} MB, but the profile {profile.name} is bounded to "
            f"{profile.maximum_bytes / 1e6:.0f} MB; take out modules or programs"
        )


def key_files(key: HostKey, authorized_keys: bytes) -> FileTree:
    """Returns the files that differ from cluster to cluster."""
    tree = FileTree()
    tree.directory("root", 0o700)
    tree.directory("root/.ssh", 0o700)
    tree.file("root/.ssh/authorized_keys", authorized_keys, 0o600)
    tree.file("etc/dropbear/ssh_host_ed25519_key", key.private, 0o600)
    return tree


@dataclass(frozen=True, slots=True, kw_only=True)
class _System:
    """The compressed parts of an initramfs, and the firmware that is in none of them, by the driver that wants it."""

    archive: bytes
    firmware: bytes
    missing: dict[str, tuple[str, ...]]


def _system(request: BuildRequest, parts: Ingredients, hook: Hook, inputs: str, time: int) -> _System:
    # Packages of another version make another system, though nothing of the request has changed.
    versions = json.dumps([parts.versions, parts.kernel.release], sort_keys=True)
    digest = hashlib.sha256(f"{inputs}{versions}".encode()).hexdigest()[:16]
    kind = f"system-{request.profile.name}-{request.suite}"
    stored = {name: request.cache / f"{kind}-{digest}.{name}" for name in ("cpio.zst", "firmware.zst", "json")}
    # The list of missing firmware is written last: parts without it are left over from a build that was killed.
    if not stored["json"].exists():
        for old in request.cache.glob(f"{kind}-*"):
            old.unlink()
        tree, wanted = deployment_system(
            parts, profile=request.profile, modules=request.modules, hook=hook, cache=request.cache
        )
        choice = choose_firmware(wanted, parts.firmware)
        files = FileTree()
        for path, source in choice.files.items():
            files.file(f"{FIRMWARE_HOME}/{path}", source.read_bytes())
        write_whole(stored["cpio.zst"], _compressed(tree, time, "the system"))
        write_whole(stored["firmware.zst"], _compressed(files, time, "firmware") if choice.files else b"")
        write_whole(stored["json"], json.dumps(choice.missing).encode())
    missing: dict[str, tuple[str, ...]] = json.loads(stored["json"].read_text())
    for line in report(missing, allowed=request.firmware):
        print(line, flush=True)
    return _System(
        archive=stored["cpio.zst"].read_bytes(), firmware=stored["firmware.zst"].read_bytes(), missing=missing
    )


def _compressed(tree: FileTree, time: int, what: str) -> bytes:
    archive = cpio(tree.entries(), time=time)
    print(f"compressing {what}, {len(archive) / 1e6:.1f} MB", flush=True)
    data = compress_zstd(archive)
    return data + bytes(-len(data) % _ALIGNMENT)
