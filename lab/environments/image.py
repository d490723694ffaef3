"""The packed root file systems of the environments, kept in the cache while what they are made from is the same."""

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import kadeploy_deployenv
from environments import debian_system, raw_system, tiny_system
from kadeploy_deployenv.apt import Apt
from kadeploy_deployenv.archive import compress_file, compress_zstd, tar
from kadeploy_deployenv.ingredients import ingredients
from kadeploy_deployenv.system import NODE_PACKAGES
from kadeploy_deployenv.workspace import digest_files, locked, write_whole

HOME = Path(__file__).parent
_DEPLOYENV = Path(kadeploy_deployenv.__file__).parent
_TINY_SOURCES = (
    HOME / "tiny/rootfs",
    HOME / "tiny/initrd",
    Path(tiny_system.__file__),
    *(_DEPLOYENV / f"{name}.py" for name in ("recipe", "profiles", "system", "archive", "kernel_modules")),
)
_DEBIAN_SOURCES = (
    HOME / "debian/rootfs",
    HOME / "debian/configure",
    HOME / "debian/customize",
    Path(debian_system.__file__),
)
# What the image of each environment is made from. The post-install scripts are not among it.
_SOURCES = {
    "tiny": _TINY_SOURCES,
    "tiny-hardware": (*_TINY_SOURCES, HOME / "tiny/uefi"),
    "raw": (*_TINY_SOURCES, HOME / "raw", Path(raw_system.__file__), *(folder for _, folder in NODE_PACKAGES.values())),
    "debian": _DEBIAN_SOURCES,
    "debian-host": _DEBIAN_SOURCES,
}
SUFFIXES = {
    "tiny": "tar.zst",
    "tiny-hardware": "tar.zst",
    "raw": "dd.gz",
    "debian": "tar.zst",
    "debian-host": "tar.zst",
}
# Beyond this level, Debian takes ten times as long to get one per cent smaller.
_DEBIAN_LEVEL = 9
_DIGITS = 16  # of the digest that names an image in the cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A packed root file system, and what is worth knowing about it.

    `kernel`, `initrd`: paths inside it; empty where its own loader knows them.
    """

    archive: Path
    kernel: str
    initrd: str
    unpacked_bytes: int
    file_count: int
    packages: dict[str, str]


def stored_image(name: str, cache: Path) -> Image:
    """Returns the image from the cache, after building it if it is not there; the caller holds the cache's lock."""
    folder = cache / "environments"
    digest = digest_files(_SOURCES[name])[:_DIGITS]
    archive = folder / f"{name}-{digest}.{SUFFIXES[name]}"
    facts = folder / f"{name}-{digest}.json"
    # The facts are written last: an archive without them is left over from a run that was killed.
    if not facts.exists():
        for old in folder.glob(f"{name}-{'[0-9a-f]' * _DIGITS}.*"):
            old.unlink()
        image = _BUILDERS[name](archive, cache)
        write_whole(facts, json.dumps({**asdict(image), "archive": ""}).encode())
    return Image(**{**json.loads(facts.read_text()), "archive": archive})


def _tiny(archive: Path, cache: Path) -> Image:
    return _tiny_with(tiny_system.VIRTIO, archive, cache)


def _tiny_hardware(archive: Path, cache: Path) -> Image:
    return _tiny_with(tiny_system.HARDWARE, archive, cache)


def _tiny_with(drivers: tiny_system.Drivers, archive: Path, cache: Path) -> Image:
    with locked(cache / "deployenv"):
        packages = ingredients(cache / "deployenv", profile=drivers.profile)
        entries = list(tiny_system.tiny_system(packages, drivers).entries())
    write_whole(archive, compress_zstd(tar(entries)))
    return Image(
        archive=archive,
        kernel="/boot/vmlinuz",
        initrd="/boot/initrd.img",
        unpacked_bytes=sum(len(entry.content) for entry in entries),
        file_count=len(entries),
        packages=packages.versions,
    )


def _raw(archive: Path, cache: Path) -> Image:
    with locked(cache / "deployenv"):
        packages = ingredients(cache / "deployenv")
        entries = list(raw_system.raw_system(packages, cache=cache / "deployenv").entries())
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".raw-") as scratch:
        raw_system.write_image(tar(entries), archive, scratch=Path(scratch))
    return Image(
        archive=archive,
        kernel="",
        initrd="",
        unpacked_bytes=raw_system.IMAGE_BYTES,
        file_count=len(entries),
        packages=packages.versions,
    )


def _debian(archive: Path, cache: Path) -> Image:
    return _debian_with((), archive, cache)


def _debian_host(archive: Path, cache: Path) -> Image:
    return _debian_with(debian_system.SERVICE_HOST_PACKAGES, archive, cache)


def _debian_with(packages: tuple[str, ...], archive: Path, cache: Path) -> Image:
    with tempfile.TemporaryDirectory(dir=cache / "environments", prefix=".debian-") as scratch:
        system = debian_system.debian_system(Path(scratch), apt=Apt(cache / "environments/apt"), packages=packages)
        compress_file(system.archive, archive, level=_DEBIAN_LEVEL)
    return Image(
        archive=archive,
        kernel=system.kernel,
        initrd=system.initrd,
        unpacked_bytes=system.unpacked_bytes,
        file_count=system.file_count,
        packages=system.packages,
    )


_BUILDERS = {
    "tiny": _tiny,
    "tiny-hardware": _tiny_hardware,
    "raw": _raw,
    "debian": _debian,
    "debian-host": _debian_host,
}
