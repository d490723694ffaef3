"""Chooses kernel modules with all they depend on, by the tools that will load them: depmod, modprobe and modinfo."""

import lzma
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from kadeploy_deployenv.commands import run
from kadeploy_deployenv.failure import BuildFailure
from kadeploy_deployenv.kernel import Kernel

_PACKAGE = "kmod"
# What depmod reads besides the modules, and what it writes that modprobe reads.
_KERNELS_OWN = ("modules.order", "modules.builtin", "modules.builtin.modinfo")
_AT_ONCE = 500


@contextmanager
def module_tree(kernel: Kernel) -> Iterator["ModuleTree"]:
    """Yields the kernel's modules with fresh indexes; the kernel's own tree stays as it is."""
    with tempfile.TemporaryDirectory(prefix="kadeploy-modules-") as scratch:
        home = Path(scratch, "lib/modules", kernel.release)
        home.mkdir(parents=True)
        (home / "kernel").symlink_to((kernel.modules / "kernel").resolve())
        for extra in ("updates", "extra"):
            if (kernel.modules / extra).is_dir():
                (home / extra).symlink_to((kernel.modules / extra).resolve())
        for name in _KERNELS_OWN:
            if (kernel.modules / name).is_file():
                shutil.copyfile(kernel.modules / name, home / name)
        run(["depmod", "--basedir", scratch, kernel.release], package=_PACKAGE)
        yield ModuleTree(Path(scratch), kernel.release)


class ModuleTree:
    """All modules of one kernel."""

    def __init__(self, base: Path, release: str) -> None:
        self._base = base
        self._release = release
        self._home = base / "lib/modules" / release
        # Every module there is, by name: modules.dep has a line for each, which begins with its path.
        paths = [line.split(":", 1)[0] for line in (self._home / "modules.dep").read_text().splitlines()]
        self._paths = {module_name(path): path for path in paths}

    def below(self, folders: Iterable[str]) -> list[str]:
        """Returns the names of the modules in folders below "kernel/". A folder that is not there gives none."""
        starts = tuple(f"kernel/{folder}/" for folder in folders)
        return sorted(name for name, path in self._paths.items() if path.startswith(starts))

    def closure(self, names: Iterable[str]) -> list[str]:
        """Returns the paths of the named modules and of all that they depend on, softly too, below the module tree.

        What is built into the kernel is left out. Raises BuildFailure for a name that this kernel does not know.
        """
        wanted = sorted({module_name(name) for name in names})
        found: set[str] = set()
        for line in self._modprobe(wanted).splitlines():
            word, _, rest = line.partition(" ")
            if word == "insmod":
                found.add(Path(rest.split(" ", 1)[0]).relative_to(self._home).as_posix())
        return sorted(found)

    def firmware(self, paths: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Returns which firmware files the modules at these paths ask for, by the module's name."""
        wanted: dict[str, tuple[str, ...]] = {}
        for path in paths:
            listing = run(["modinfo", "--field", "firmware", str(self._home / path)], package=_PACKAGE)
            if names := tuple(dict.fromkeys(listing.split("\n")[:-1])):
                wanted[module_name(path)] = names
        return wanted

    def contents(self, paths: Sequence[str]) -> dict[str, bytes]:
        """Returns the modules at these paths, unpacked where they are compressed, and then without that ending.

        The whole initramfs is compressed better than each of its files.
        """
        return {plain_path(path): unpacked_module(self._home / path) for path in paths}

    def _modprobe(self, wanted: Sequence[str]) -> str:
        if unknown := self._unknown(wanted):
            raise BuildFailure(f"the kernel {self._release} has no module {', '.join(unknown)}; correct the list")
        command = ["modprobe", *self._place(), "--all", "--show-depends"]
        return "".join(
            run([*command, *wanted[start : start + _AT_ONCE]], package=_PACKAGE)
            for start in range(0, len(wanted), _AT_ONCE)
        )

    def _unknown(self, wanted: Sequence[str]) -> list[str]:
        builtin = self._home / "modules.builtin"
        known = {module_name(path) for path in builtin.read_text().split()} if builtin.exists() else set()
        return [name for name in wanted if name not in self._paths and name not in known]

    def _place(self) -> list[str]:
        # The configuration of this machine's modprobe (blacklists, install commands) is not the nodes'.
        return ["--dirname", str(self._base), "--set-version", self._release, "--config", str(self._base / "none")]


def indexes(modules: Mapping[str, bytes], kernel: Kernel) -> dict[str, bytes]:
    """Returns the index files that modprobe needs for the chosen modules (path below the module tree and content)."""
    with tempfile.TemporaryDirectory(prefix="kadeploy-modules-") as scratch:
        home = Path(scratch, "lib/modules", kernel.release)
        for path, content in modules.items():
            (home / path).parent.mkdir(parents=True, exist_ok=True)
            (home / path).write_bytes(content)
        for name in _KERNELS_OWN:
            if (kernel.modules / name).is_file():
                shutil.copyfile(kernel.modules / name, home / name)
        run(["depmod", "--basedir", scratch, kernel.release], package=_PACKAGE)
        return {path.name: path.read_bytes() for path in sorted(home.glob("modules.*"))}


def plain_path(path: str) -> str:
    """Returns the path of a module once it is unpacked: modprobe goes by the ending."""
    return path.removesuffix(".xz").removesuffix(".zst")


def module_name(path: str) -> str:
    """Returns a module's name as the kernel spells it: no folder, no ending, underscores."""
    return Path(path).name.split(".ko")[0].replace("-", "_")


def unpacked_module(path: Path) -> bytes:
    """Returns the content of a module file; .xz and .zst are unpacked."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".zst":
        return subprocess.run(
            ["zstd", "--decompress", "--stdout"], input=data, capture_output=True, check=True, timeout=60
        ).stdout
    return data
