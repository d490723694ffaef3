"""The packed root file systems of the environments, kept in the cache while what they are made from is the same."""

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from deployenv.apt import Apt
from deployenv.archive import compress_file, compress_zstd, tar
from deployenv.ingredients import ingredients
from deployenv.workspace import digest_files, locked, write_whole
from environments import debian_system, tiny_system

HOME = Path(__file__).parent
# What the image of each environment is made from. The post-install scripts are not among it.
_SOURCES = {
    "tiny": (
        HOME / "tiny/rootfs",
        HOME / "tiny/initrd",
        Path(tiny_system.__file__),
        *(HOME.parent.parent / f"deployenv/{name}.py" for name in ("recipe", "system", "archive", "kernel_modules")),
    ),
    "debian": (
        HOME / "debian/rootfs",
        HOME / "debian/configure",
        HOME / "debian/customize",
        Path(debian_system.__file__),
    ),
}
# Beyond this level, Debian takes ten times as long to get one per cent smaller.
_DEBIAN_LEVEL = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A packed root file system, and what is worth knowing about it; paths are those inside it."""

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
    archive = folder / f"{name}-{digest}.tar.zst"
    facts = folder / f"{name}-{digest}.json"
    # The facts are written last: an archive without them is left over from a run that was killed.
    if not facts.exists():
        for old in folder.glob(f"{name}-*"):
            old.unlink()
        image = _tiny(archive, cache) if name == "tiny" else _debian(archive, cache)
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
