"""Assembles the file tree of the deployment environment from unpacked packages and from rootfs/."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

import kabroadcast
import kahardware
from kadeploy_deployenv import recipe
from kadeploy_deployenv.failure import BuildFailure
from kadeploy_deployenv.file_tree import FileTree
from kadeploy_deployenv.hook import Hook
from kadeploy_deployenv.ingredients import Ingredients
from kadeploy_deployenv.kernel_modules import indexes, module_tree
from kadeploy_deployenv.libraries import needed_libraries
from kadeploy_deployenv.packages import LIBRARIES, LOADER, python_wheel
from kadeploy_deployenv.profiles import Profile
from kadeploy_deployenv.python_runtime import add_python, imported_names, node_python

ROOTFS = Path(__file__).parent / "rootfs"
NODE_PACKAGES = {
    "kabroadcast": ("kabroadcast.session", Path(kabroadcast.__file__).parent),
    "kadeploy-hardware": ("kahardware.main", Path(kahardware.__file__).parent),
}
"""Programs of ours that run on nodes: by their names, the module with `main` and the folder of the package."""

_NODE_HOME = "usr/lib/kadeploy"
# -I and -S: no environment, no site-packages; the program starts faster and cannot be led astray.
_PYTHON = "#!/usr/bin/python3 -IS\n"


def deployment_system(
    parts: Ingredients, *, profile: Profile, modules: Iterable[str], hook: Hook, cache: Path
) -> tuple[FileTree, dict[str, tuple[str, ...]]]:
    """Returns everything of the deployment environment but keys and firmware, and which firmware its drivers want.

    Args:
        parts: packages and kernel.
        profile: which modules go in.
        modules: names of further modules.
        hook: what the site adds.
        cache: keeps the wheel for the nodes' Python.
    """
    tree = FileTree()
    for path, mode in recipe.DIRECTORIES.items():
        tree.directory(path, mode)
    for name in ("bin", "sbin", "lib", "lib64"):
        tree.symlink(name, f"usr/{name}")
    tree.symlink("etc/mtab", "/proc/mounts")
    add_busybox(tree, parts.root, unwanted=recipe.UNWANTED_APPLETS)
    add_programs(tree, parts.root, (*recipe.PROGRAMS, *profile.programs, *hook.programs))
    for path, target in recipe.LINKS.items():
        tree.symlink(path, target)
    add_files(tree, parts.root, recipe.FILES)
    add_files(tree, parts.root, [f"{LIBRARIES}/{name}" for name in recipe.LIBRARIES])
    tree.symlink("usr/lib/systemd/systemd-udevd", "/usr/bin/udevadm")
    firmware = add_kernel_modules(
        tree, parts, (*profile.modules, *modules), folders=profile.folders, left_out=profile.left_out
    )
    add_node_programs(tree, parts.root, cache=cache)
    tree.copy_tree(ROOTFS)
    hook.add_files(tree)
    add_libraries(tree, parts.root)
    return tree, firmware


def add_busybox(tree: FileTree, packages: Path, *, unwanted: Iterable[str] = ()) -> None:
    """Adds busybox and a link for each of its applets, in /usr/bin; programs added later replace links."""
    busybox = packages / "usr/bin/busybox"
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
    """Adds programs, in /usr/bin and /usr/sbin as in their packages, without the libraries that they need."""
    for program in programs:
        found = [path for folder in ("usr/bin", "usr/sbin") if (path := packages / folder / program).exists()]
        if not found:
            raise BuildFailure(f"no package brings {program}; correct the recipe or the hook")
        tree.file(f"usr/{found[0].parent.name}/{program}", found[0].read_bytes(), 0o755)


def add_files(tree: FileTree, packages: Path, paths: Iterable[str]) -> None:
    """Adds files of packages as they are."""
    for path in paths:
        if not (packages / path).is_file():
            raise BuildFailure(f"no package brings /{path}; correct the recipe")
        executable = (packages / path).stat().st_mode & 0o100
        tree.file(path, (packages / path).read_bytes(), 0o755 if executable else 0o644)


def add_libraries(tree: FileTree, packages: Path) -> None:
    """Adds the shared libraries that the programs and libraries in the tree need."""
    programs = {entry.path: entry.content for entry in tree.entries()}
    for path, library in needed_libraries(programs, packages).items():
        tree.file(path, library.read_bytes(), 0o755)
    # The interpreter is the one library that the kernel itself looks for, by this path.
    tree.file(LOADER, (packages / LOADER).read_bytes(), 0o755)
    name = Path(LOADER).name
    tree.symlink(f"usr/lib64/{name}", f"../{LIBRARIES.removeprefix('usr/')}/{name}")


def add_kernel_modules(
    tree: FileTree,
    parts: Ingredients,
    wanted: Iterable[str],
    *,
    folders: Iterable[str] = (),
    left_out: frozenset[str] = frozenset(),
) -> dict[str, tuple[str, ...]]:
    """Adds kernel modules, those they depend on, and the indexes for modprobe.

    Args:
        tree: where to add.
        parts: the kernel.
        wanted: names of modules.
        folders: folders of the module tree of which every module is wanted, but for those of `left_out`.
        left_out: names.

    Returns:
        Which firmware files the modules ask for, by the module's name.
    """
    home = f"usr/lib/modules/{parts.kernel.release}"
    with module_tree(parts.kernel) as modules:
        chosen = modules.closure([*wanted, *(set(modules.below(folders)) - left_out)])
        contents = modules.contents(chosen)
        firmware = modules.firmware(chosen)
    for path, content in (contents | indexes(contents, parts.kernel)).items():
        tree.file(f"{home}/{path}", content)
    return firmware


def node_program(name: str, home: str) -> str:
    """Returns the Python program of a name in NODE_PACKAGES, whose package lies in `home`."""
    module, _ = NODE_PACKAGES[name]
    return f"import sys\nsys.path.append({home!r})\nfrom {module} import main\nsys.exit(main())\n"


def add_node_programs(tree: FileTree, packages: Path, *, cache: Path) -> None:
    """Adds Python and our own programs for nodes, with the modules that they need."""
    python = node_python(packages)
    add_programs(tree, packages, [f"python{python.version}"])
    tree.symlink("usr/bin/python3", f"python{python.version}")
    folders = [folder for _, folder in NODE_PACKAGES.values()]
    sources = [source for folder in folders for source in sorted(folder.glob("*.py"))]
    wanted = set(recipe.PYTHON_MODULES).union(*(imported_names(source.read_text()) for source in sources))
    digest = recipe.BLAKE3_SHA256.get(python.version)
    if digest is None:
        raise BuildFailure(f"the recipe knows no wheel of {recipe.BLAKE3} for Python {python.version}")
    add_python(
        tree,
        python,
        wanted=wanted,
        unwanted=recipe.UNWANTED_PYTHON_MODULES,
        sources={f"{_NODE_HOME}/{source.parent.name}/{source.name}": source for source in sources},
        wheel=python_wheel(recipe.BLAKE3, digest, version=python.version, cache=cache),
    )
    for name in NODE_PACKAGES:
        tree.file(f"usr/bin/{name}", (_PYTHON + node_program(name, f"/{_NODE_HOME}")).encode(), 0o755)
