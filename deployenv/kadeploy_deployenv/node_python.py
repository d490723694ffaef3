"""Run by the nodes' own Python at build time: chooses modules of its standard library and compiles them.

Reads JSON from standard input: "library" (its folder), "wanted" (modules that must be there, with all that they
import), "unwanted" (modules that are never followed), "sources" (more programs to compile, target path to source file),
"output" (where compiled files go), "home" (the library's path on the node). Prints JSON: "missing" (wanted modules that
are not there). Only Python that knows a module's bytecode can compile it, so nothing else of the project is imported.
"""

import importlib
import json
import modulefinder
import pathlib
import py_compile
import shutil
import sys


def main() -> None:
    """Does it all; see the module."""
    request = json.load(sys.stdin)
    library = pathlib.Path(request["library"])
    output = pathlib.Path(request["output"])
    found, missing = collect(library, request["wanted"], request["unwanted"], output / "program.py")
    for source in found:
        place(source, output / "files", f"{request['home']}/{source.relative_to(library).as_posix()}")
    for target, name in request["sources"].items():
        place(pathlib.Path(name), output / "files", target)
    # Some have no file of their own: built into the interpreter, or put in place by another module.
    json.dump({"missing": sorted(name for name in missing if not is_there(name))}, sys.stdout)


def collect(
    library: pathlib.Path, wanted: list[str], unwanted: list[str], program: pathlib.Path
) -> tuple[list[pathlib.Path], set[str]]:
    """Returns the files of the wanted modules and of all that they import, and the modules that are not there."""
    program.write_text("".join(f"import {name}\n" for name in wanted))
    finder = modulefinder.ModuleFinder(
        path=[str(library), str(library / "lib-dynload")], excludes=sorted(set(unwanted) - set(wanted))
    )
    finder.run_script(str(program))
    names = [getattr(module, "__file__", None) for module in finder.modules.values()]
    files = [pathlib.Path(name) for name in names if name]
    inside = [file for file in files if file.is_relative_to(library)]
    return sorted(inside), {name for name in wanted if name in finder.badmodules}


def is_there(name: str) -> bool:
    """Returns whether this Python, with its whole library, has a module."""
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def place(source: pathlib.Path, output: pathlib.Path, target: str) -> None:
    """Copies a library, or compiles a program: `x.py` becomes `x.pyc` in its place."""
    path = output / target
    path.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix != ".py":
        shutil.copyfile(source, path)
        return
    py_compile.compile(
        str(source),
        cfile=f"{path}c",
        dfile=f"/{target}",
        doraise=True,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


if __name__ == "__main__":
    main()
