"""The packed root file systems of the environments, kept in the cache while what they are made from is the same."""

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from deployenv.apt import Apt
from deployenv.archive import compress_file, compress_zstd, tar
from deployenv.ingredients import ingredients
from deployenv.workspace import digest_files, locked, write_whole
from environments import debian_system, raw_system, tiny_system

HOME = Path(__file__).parent
_DEPLOYENV = HOME.parent.parent / "deployenv"
_TINY_SOURCES = (
    HOME / "tiny/rootfs",
    HOME / "tiny/initrd",
    Path(tiny_system.__file__),
    *(_DEPLOYENV / f"{name}.py" for name in ("recipe", "system", "archive", "kernel_modules")),
)
# What the image of each environment is made from. The post-install scripts are not among it.
_SOURCES = {
    "tiny": _TINY_SOURCES,
    "raw": (*_TINY_SOURCES, HOME / "raw", Path(raw_system.__file__), _DEPLOYENV / "kabroadcast"),
    "debian": (
        HOME / "debian/rootfs",
        HOME / "debian/configure",
        HOME / "debian/customize",
        Path(debian_system.__file__),
    ),
}
SUFFIXES = {"tiny": "tar.zst", "raw": "dd.gz", "debian": "tar.zst"}
# Beyond this level, Debian takes ten times as long to get one per cent smaller.
_DEBIAN_LEVEL = 9


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
    digest = digest_files(_SOURCES[name])[:16]
    archive = folder / f"{name}-{digest}.{SUFFIXES[name]}"
    facts = folder / f"{name}-{digest}.json"
    # The facts are written last: an archive without them is left over from a run that was killed.
    if not facts.exists():
        for old in folder.glob(f"{name}-*"):
            old.unlink()
        image = {"tiny": _tiny, "raw": _raw, "debian": _debian}[name](archive, cache)
        write_whole(facts, json.dumps({**asdict(image), "archive": ""}).encode())
    return Image(**{**json.loads(facts.read_text()), "archive": archive})


def _tiny(archive: Path, cache: Path) -> Image:
    with locked(cache / "deployenv"):
        packages = ingredients(cache / "deployenv")
        entries = list(tiny_system.tiny_system(packages).entries())
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
    with tempfile.TemporaryDirectory(dir=cache / "environments", prefix=".debian-") as scratch:
        system = debian_system.debian_system(Path(scratch), apt=Apt(cache / "environments/apt"))
        compress_file(system.archive, archive, level=_DEBIAN_LEVEL)
    return Image(
        archive=archive,
        kernel=system.kernel,
        initrd=system.initrd,
        unpacked_bytes=system.unpacked_bytes,
        file_count=system.file_count,
        packages=system.packages,
    )
