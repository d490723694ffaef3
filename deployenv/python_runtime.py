"""Chooses the part of Python's standard library that the nodes' programs import, compiled beforehand.

Compiling at every start would cost a node more time than the program itself takes.
"""

import ast
import modulefinder
import py_compile
import stat
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from deployenv.failure import BuildFailure
from deployenv.file_tree import FileTree
from deployenv.packages import run_unpacked

NODE_VERSION = (3, 11)
_HOME = "usr/lib/python3.11"


def imported_names(source: str) -> set[str]:
    """Returns the modules that a program imports anywhere in its text, by their full names."""
    names: set[str] = set()
    for statement in ast.walk(ast.parse(source)):
        if isinstance(statement, ast.Import):
            names.update(alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            names.add(statement.module)
    return names


def add_standard_library(tree: FileTree, root: Path, *, wanted: Iterable[str], unwanted: Iterable[str]) -> None:
    """Adds the wanted modules of the Python below `root`, and all that they import."""
    require_node_version()
    library = root / _HOME
    wanted = sorted(set(wanted) - {"blake3"})
    with tempfile.TemporaryDirectory() as scratch:
        program = Path(scratch, "program.py")
        program.write_text("".join(f"import {name}\n" for name in wanted))
        finder = modulefinder.ModuleFinder(
            path=[str(library), str(library / "lib-dynload")],
            excludes=sorted(set(unwanted) - set(wanted)),
        )
        finder.run_script(str(program))
    missing = {name for name in wanted if name in finder.badmodules} - _built_in(root)
    if missing:
        raise BuildFailure(f"Python on the nodes has no module {', '.join(sorted(missing))}")
    for module in finder.modules.values():
        source: str | None = getattr(module, "__file__", None)
        if source and Path(source).is_relative_to(library):
            add_module(tree, Path(source), f"{_HOME}/{_relative(source, library)}")


def add_module(tree: FileTree, source: Path, target: str) -> None:
    """Adds a module; Python source is compiled, so that `x.py` becomes `x.pyc` in its place."""
    if source.suffix != ".py":
        tree.file(target, source.read_bytes())
        return
    with tempfile.TemporaryDirectory() as scratch:
        compiled = Path(scratch, "module.pyc")
        py_compile.compile(
            str(source),
            cfile=str(compiled),
            dfile=f"/{target}",
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        tree.file(f"{target}c", compiled.read_bytes())


def add_wheel(tree: FileTree, wheel: Path) -> None:
    """Adds a wheel's packages beside the standard library, where they are found without site-packages."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if ".dist-info/" not in name and name.endswith((".py", ".so")):
                tree.file(f"{_HOME}/{name}", archive.read(name))


def require_node_version() -> None:
    """Raises BuildFailure unless this Python's compiled modules run on the nodes."""
    if sys.version_info[:2] != NODE_VERSION:
        wanted = ".".join(str(part) for part in NODE_VERSION)
        raise BuildFailure(f"run this with Python {wanted}: the modules are compiled for the nodes")


def check_imports(tree: FileTree, root: Path, *, wanted: Iterable[str]) -> None:
    """Raises BuildFailure unless the nodes' Python can import the wanted modules from what the tree holds."""
    with tempfile.TemporaryDirectory() as scratch:
        for entry in tree.entries():
            if entry.path.startswith(_HOME) and stat.S_ISREG(entry.mode):
                path = Path(scratch, entry.path)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(entry.content)
        program = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
        _run_python(root, Path(scratch, "usr"), program, *sorted(wanted))


def _built_in(root: Path) -> set[str]:
    # Debian builds modules into its interpreter that are files elsewhere, so only it can tell.
    return set(_run_python(root, root / "usr", "import sys; print(*sys.builtin_module_names)").split())


def _run_python(root: Path, home: Path, program: str, *arguments: str) -> str:
    return run_unpacked(
        root,
        "usr/bin/python3.11",
        *("-S", "-c", program, *arguments),
        environment={"PYTHONHOME": str(home.absolute()), "PYTHONDONTWRITEBYTECODE": "1"},
    )


def _relative(path: str, root: Path) -> str:
    return Path(path).relative_to(root).as_posix()
