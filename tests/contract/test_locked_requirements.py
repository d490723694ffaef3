"""requirements/*.txt: made from the distributions as they are, every package by version and hash, no host named."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

CHECKOUT = Path(__file__).parents[2]
DIRECTORY = CHECKOUT / "requirements"
# "name==1.2 ; marker \" and then a hash a line.
PACKAGE = re.compile(
    r"([a-z0-9][a-z0-9._-]*)==([^\s;]+)(?: ; [^\\]+)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)"
)


def _lock() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lock", DIRECTORY / "lock.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LOCK = _lock()
WANTED: dict[str, list[str]] = LOCK.requirements(LOCK.read_projects(), LOCK.read_groups())


def versions(name: str) -> dict[str, str]:
    text = (DIRECTORY / f"{name}.txt").read_text()
    return {match[1]: match[2] for match in PACKAGE.finditer(text)}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_there_is_a_file_for_each_role_and_no_other() -> None:
    assert {path.stem for path in DIRECTORY.glob("*.txt")} == set(WANTED)


@pytest.mark.parametrize("name", WANTED)
def test_a_file_was_made_from_the_distributions_as_they_are(name: str) -> None:
    text = (DIRECTORY / f"{name}.txt").read_text()
    assert f"# requirements: {LOCK.digest(WANTED[name])}\n" in text, "run `make lock` and commit what it changes"
    locked = versions(name)
    for requirement in map(Requirement, WANTED[name]):
        assert requirement.specifier.contains(locked[normal(requirement.name)]), requirement


@pytest.mark.parametrize("name", WANTED)
def test_sites_get_the_versions_that_the_tests_run_with(name: str) -> None:
    assert versions(name).items() <= versions(LOCK.DEVELOPMENT).items()


def test_a_host_of_the_tftp_tree_gets_neither_a_database_library_nor_ssh() -> None:
    assert versions("bootctl").keys().isdisjoint({"sqlalchemy", "alembic", "pymysql", "asyncssh", "aiohttp", "click"})


def test_a_client_gets_neither_a_database_library_nor_a_server_for_images() -> None:
    assert versions("client").keys().isdisjoint({"sqlalchemy", "alembic", "pymysql", "asyncssh", "aiohttp"})


@pytest.mark.parametrize("name", WANTED)
def test_every_package_has_its_hashes_and_nothing_else_stands_there(name: str) -> None:
    text = (DIRECTORY / f"{name}.txt").read_text()
    assert PACKAGE.sub("", re.sub(r"(?m)^#.*\n", "", text)) == ""
    assert "://" not in text


def test_what_is_installed_in_images_and_by_setup_is_installed_by_hash() -> None:
    for path in ("services/Dockerfile", "services/compose/install-environment", "Makefile"):
        text = (CHECKOUT / path).read_text().replace("\\\n", " ")
        for line in re.findall(r"pip (?:install|download|wheel) [^\n;&]*", text):
            ours = "--no-index" in line and "--no-deps" in line
            assert ours or {"--require-hashes", "--only-binary"} <= set(line.split()), f"{path}: {line}"
