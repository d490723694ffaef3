"""Assembles the file tree of the deployment environment from unpacked packages and from rootfs/."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from deployenv import recipe
from deployenv.elf import library_closure
from deployenv.failure import BuildFailure
from deployenv.file_tree import FileTree
from deployenv.kernel_modules import modules_alias, modules_dep, read_catalogue
from deployenv.python_runtime import (
    add_module,
    add_standard_library,
    add_wheel,
    check_imports,
    imported_names,
)

ROOTFS = Path(__file__).parent / "rootfs"
BROADCAST = Path(__file__).parent / "kabroadcast"

_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_BROADCAST_HOME = "usr/lib/kadeploy"
# -I and -S: no environment, no site-packages; the program starts faster and cannot be led astray.
_PYTHON = "#!/usr/bin/python3 -IS\n"


def deployment_system(packages: Path, *, kernel_release: str, wheel: Path) -> FileTree:
    """Returns everything of the deployment environment but the keys."""
    tree = FileTree()
    for path, mode in recipe.DIRECTORIES.items():
        tree.directory(path, mode)
    for name in ("bin", "sbin", "lib", "lib64"):
        tree.symlink(name, f"usr/{name}")
    tree.symlink("etc/mtab", "/proc/mounts")
    add_busybox(tree, packages, unwanted=recipe.UNWANTED_APPLETS)
    add_programs(tree, packages, recipe.PROGRAMS)
    for path, target in recipe.LINKS.items():
        tree.symlink(path, target)
    for path in recipe.FILES:
        tree.file(path, (packages / path).read_bytes())
    add_kernel_modules(tree, packages, kernel_release, recipe.KERNEL_MODULES)
    add_broadcast(tree, packages, wheel)
    add_libraries(tree, packages)
    tree.copy_tree(ROOTFS)
    return tree


def add_busybox(tree: FileTree, packages: Path, *, unwanted: Iterable[str] = ()) -> None:
    """Adds busybox and a link for each of its applets, in /usr/bin; programs added later replace links."""
    busybox = packages / "bin/busybox"
    tree.file("usr/bin/busybox", busybox.read_bytes(), 0o755)
    applets = subprocess.run(
        [str(busybox), "--list"], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    for applet in sorted(set(applets) - set(unwanted) - {"busybox"}):
        tree.symlink(f"usr/bin/{applet}", "busybox")
    # Asked for by these names: the first by the kernel and by us, the second by the kernel.
    tree.symlink("usr/sbin/init", "../bin/busybox")
    tree.symlink("usr/sbin/modprobe", "../bin/busybox")


def add_programs(tree: FileTree, packages: Path, programs: Iterable[str]) -> None:
    """Adds programs, in /usr/bin and /usr/sbin, without the libraries that they need."""
    for program in programs:
        source = packages / program
        if not source.exists():
            raise BuildFailure(f"no package brings {program}; correct the recipe")
        tree.file(f"usr/{source.parent.name}/{source.name}", source.read_bytes(), 0o755)


def add_libraries(tree: FileTree, packages: Path) -> None:
    """Adds the shared libraries that the programs and libraries in the tree need."""
    programs = {entry.path: entry.content for entry in tree.entries()}
    folders = [packages / folder for folder in recipe.LIBRARY_FOLDERS]
    for name, library in library_closure(programs, folders).items():
        tree.file(f"{_LIBRARIES}/{name}", library.read_bytes(), 0o755)
    # The interpreter is the one library that the kernel itself looks for, by this path.
    loader = "ld-linux-x86-64.so.2"
    tree.file(f"{_LIBRARIES}/{loader}", (packages / "lib/x86_64-linux-gnu" / loader).read_bytes(), 0o755)
    tree.symlink(f"usr/lib64/{loader}", f"../lib/x86_64-linux-gnu/{loader}")


def add_kernel_modules(tree: FileTree, packages: Path, kernel_release: str, wanted: Iterable[str]) -> None:
    """Adds kernel modules, those they depend on, and the indexes for modprobe."""
    root = packages / "lib/modules" / kernel_release
    catalogue = read_catalogue(root)
    chosen = catalogue.closure(wanted)
    home = f"usr/lib/modules/{kernel_release}"
    for module in chosen:
        tree.file(f"{home}/{module.path}", (root / module.path).read_bytes())
    tree.file(f"{home}/modules.dep", modules_dep(chosen, catalogue).encode())
    tree.file(f"{home}/modules.alias", modules_alias(chosen).encode())
    tree.file(f"{home}/modules.builtin", (root / "modules.builtin").read_bytes())


def broadcast_program(home: str) -> str:
    """Returns the Python program that runs the node's side of the broadcast, whose package lies in `home`."""
    return f"import sys\nsys.path.append({home!r})\nfrom kabroadcast.session import main\nsys.exit(main())\n"


def add_broadcast(tree: FileTree, packages: Path, wheel: Path) -> None:
    """Adds the node's side of the broadcast with the modules that it needs; Python itself comes as a program."""
    wanted = set(recipe.PYTHON_MODULES)
    for room in sorted(BROADCAST.glob("*.py")):
        wanted |= imported_names(room.read_text())
        add_module(tree, room, f"{_BROADCAST_HOME}/{BROADCAST.name}/{room.name}")
    tree.file("usr/bin/kabroadcast", (_PYTHON + broadcast_program(f"/{_BROADCAST_HOME}")).encode(), 0o755)
    add_standard_library(tree, packages, wanted=wanted, unwanted=recipe.UNWANTED_PYTHON_MODULES)
    add_wheel(tree, wheel)
    check_imports(tree, packages, wanted=wanted)
