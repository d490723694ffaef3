"""The distributions: one version, every library that is imported is declared, and nothing of the lab in them."""

import ast
import importlib.metadata
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).parents[2]
FILES = [file for depth in ("*", "services/*", "clients/*") for file in CHECKOUT.glob(f"{depth}/pyproject.toml")]
ALL = {path.parent: tomllib.loads(path.read_text()) for path in sorted(FILES)}
RELEASED = {folder: each for folder, each in ALL.items() if folder.name != "lab"}
# The folder google is shared by several distributions; its first two names say whose it is.
SHARED = ("google",)


def name(folder: Path) -> str:
    return str(folder.relative_to(CHECKOUT))


def packages(project: dict[str, Any]) -> list[str]:
    listed: list[str] = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return listed


def requirements(project: dict[str, Any]) -> list[Requirement]:
    return [Requirement(line) for line in project["project"]["dependencies"]]


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


def owners() -> dict[str, set[str]]:
    """Returns whose each importable name is: ours by the checkout, others' by what is installed."""
    found: dict[str, set[str]] = {}
    for top, distributions in importlib.metadata.packages_distributions().items():
        found.setdefault(top, set()).update(distributions)
    for distribution in importlib.metadata.distributions():
        for file in distribution.files or ():
            if file.parts[0] in SHARED and len(file.parts) > 1:
                found.setdefault(".".join(file.parts[:2]), set()).add(distribution.name)
    for project in ALL.values():
        for package in packages(project):
            found[package] = {project["project"]["name"]}
    return found


OWNERS = owners()


def test_each_folder_that_is_released_has_its_distribution() -> None:
    found = {name(folder) for folder in RELEASED}
    assert found >= {"protos", "clients", *(f"services/{one}" for one in ("edge", "nodeset", "database"))}
    assert found >= {f"services/{one}" for one in ("inventory", "deployer", "bootctl")}


def test_all_have_one_version_and_need_one_another_in_that_version() -> None:
    versions = {project["project"]["version"] for project in ALL.values()}
    assert len(versions) == 1
    ours = [one for project in ALL.values() for one in requirements(project) if one.name.startswith("kadeploy-")]
    assert ours
    assert {str(one.specifier) for one in ours} == {f"=={versions.pop()}"}


@pytest.mark.parametrize("folder", RELEASED, ids=name)
def test_a_library_has_a_range_and_no_single_version(folder: Path) -> None:
    others = [one for one in requirements(RELEASED[folder]) if not one.name.startswith("kadeploy-")]
    assert [str(one) for one in others if {each.operator for each in one.specifier} - {">=", "<"}] == []
    assert [str(one) for one in others if ">=" not in {each.operator for each in one.specifier}] == []


@pytest.mark.parametrize("folder", RELEASED, ids=name)
def test_what_is_imported_is_declared_and_nothing_else(folder: Path) -> None:
    project = RELEASED[folder]
    own = set(packages(project))
    needed: set[str] = set()
    for file in (file for package in own for file in (folder / package).rglob("*.py")):
        for module in imports(file):
            top = module.partition(".")[0]
            if top in own or top in sys.stdlib_module_names or top in {"_typeshed", "compression"}:
                continue
            key = ".".join(module.split(".")[:2]) if top in SHARED else top
            needed |= {canonicalize_name(each) for each in OWNERS[key]}
    declared = {canonicalize_name(one.name) for one in requirements(project)}
    # Stubs are written for the typing of others; they are no libraries.
    needed = {one for one in needed if not one.startswith("types-")}
    assert declared == needed


def test_the_lab_and_the_demo_are_in_none() -> None:
    released = {package for project in RELEASED.values() for package in packages(project)}
    assert released.isdisjoint({"kadeploy_lab", "kadeploy_demo", "tests"})
    needed = {one.name for project in RELEASED.values() for one in requirements(project)}
    assert "kadeploy-lab" not in needed


@pytest.mark.parametrize("folder", RELEASED, ids=name)
def test_the_licence_is_in_each(folder: Path) -> None:
    assert (folder / "LICENSE").read_bytes() == (CHECKOUT / "LICENSE").read_bytes()


def test_the_stubs_are_made_by_the_release_that_the_metadata_demands() -> None:
    project = RELEASED[CHECKOUT / "protos"]
    builds = {one.name: one for one in map(Requirement, project["build-system"]["requires"])}
    (generator,) = builds["grpcio-tools"].specifier
    (least,) = [
        each for one in requirements(project) if one.name == "grpcio" for each in one.specifier if each.operator == ">="
    ]
    assert (generator.operator, generator.version) == ("==", least.version)


@pytest.mark.parametrize(
    "folder", [folder for folder, each in RELEASED.items() if "scripts" in each["project"]], ids=name
)
def test_a_command_says_the_version_of_its_distribution(folder: Path) -> None:
    project = RELEASED[folder]["project"]
    command = Path(sys.executable).with_name(next(iter(project["scripts"])))
    done = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.split()[-1:]) == (0, [project["version"]]), done.stderr
