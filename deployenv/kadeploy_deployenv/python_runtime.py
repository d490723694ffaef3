"""The part of Python's standard library that the nodes' programs import, compiled beforehand by the nodes' own Python.

Compiling at every start would cost a node more time than the program itself takes.
"""

import ast
import json
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kadeploy_deployenv.failure import BuildFailure
from kadeploy_deployenv.file_tree import FileTree
from kadeploy_deployenv.packages import run_unpacked

_PROGRAM = Path(__file__).parent / "node_python.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePython:
    """The Python of unpacked packages.

    Attributes:
        root: the packages.
        version: "3.11".
    """

    root: Path
    version: str

    @property
    def home(self) -> str:
        """Where its standard library is, relative to the root."""
        return f"usr/lib/python{self.version}"

    def run(self, home: Path, *arguments: str, stdin: str = "") -> str:
        """Runs it with a standard library in `home`, without site-packages, and returns what it prints."""
        return run_unpacked(
            self.root,
            f"usr/bin/python{self.version}",
            *("-S", *arguments),
            environment={"PYTHONHOME": str(home.absolute()), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"},
            stdin=stdin,
        )


def node_python(root: Path) -> NodePython:
    """Returns the Python below the root of unpacked packages. Raises BuildFailure unless there is one."""
    found = sorted(path.name for path in (root / "usr/bin").glob("python3.*") if path.name[len("python3.") :].isdigit())
    if len(found) != 1:
        raise BuildFailure(f"the packages should have one Python 3, but have {', '.join(found) or 'none'}")
    return NodePython(root=root, version=found[0].removeprefix("python"))


def imported_names(source: str) -> set[str]:
    """Returns the modules that a program imports anywhere in its text, by their full names."""
    names: set[str] = set()
    for statement in ast.walk(ast.parse(source)):
        if isinstance(statement, ast.Import):
            names.update(alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            names.add(statement.module)
    return names


def add_python(
    tree: FileTree,
    python: NodePython,
    *,
    wanted: Iterable[str],
    unwanted: Iterable[str],
    sources: Mapping[str, Path],
    wheel: Path,
) -> None:
    """Adds what the nodes' programs need besides the interpreter.

    Args:
        tree: where to add.
        python: the nodes' Python.
        wanted: modules of the standard library and of the wheel; all that they import comes with them.
        unwanted: modules that are not followed.
        sources: further Python programs, compiled: the path in the tree and the source file.
        wheel: its packages come beside the standard library, where they are found without site-packages.

    Raises BuildFailure if a wanted module is not there or cannot be imported from what the tree holds.
    """
    packages = _wheel_packages(wheel)
    with tempfile.TemporaryDirectory(prefix="kadeploy-python-") as scratch:
        request = {
            "library": str((python.root / python.home).absolute()),
            "wanted": sorted(set(wanted) - packages),
            "unwanted": sorted(unwanted),
            "sources": {target: str(source.absolute()) for target, source in sources.items()},
            "output": scratch,
            "home": python.home,
        }
        said = python.run(python.root / "usr", str(_PROGRAM), stdin=json.dumps(request))
        if missing := json.loads(said)["missing"]:
            raise BuildFailure(f"Python on the nodes has no module {', '.join(missing)}")
        files = Path(scratch, "files")
        _add_wheel(files / python.home, wheel)
        tree.copy_tree(files)
        # Modules that are imported at the start of Python itself are found in the same place.
        program = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
        python.run(files / "usr", "-c", program, *sorted(wanted))


def _wheel_packages(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name.split("/")[0] for name in archive.namelist() if ".dist-info/" not in name}


def _add_wheel(home: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if ".dist-info/" not in name and name.endswith((".py", ".so")):
                archive.extract(name, home)
