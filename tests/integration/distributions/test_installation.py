"""From a clean clone to commands that start: each distribution is built, and installed alone in a fresh environment.

Needs the package registry for the libraries; nothing of ours comes from there, because our wheels are given as files.
"""

import os
import zipfile
from pathlib import Path

import pytest

from tests.integration.distributions.building import CHECKOUT, FOLDERS, UV, Built, build, project, run

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

ROLES = {each["name"]: each for folder in FOLDERS if (each := project(folder)).get("scripts")}
UNWANTED = {
    "kadeploy-inventory": {"asyncssh", "aiohttp", "click", "rich"},
    "kadeploy-deployer": {"click", "rich"},
    "kadeploy-bootctl": {"sqlalchemy", "alembic", "pymysql", "asyncssh", "aiohttp", "click"},
    "kadeploy-client": {"sqlalchemy", "alembic", "pymysql", "asyncssh", "aiohttp"},
}
DEVELOPMENT = {"grpcio-tools", "mypy-protobuf", "hatchling", "pytest", "kadeploy-lab"}
PYTHONS = ("3.11", "3.12", "3.13")
# Bytes of the wheels of ours that a client installs.
LARGEST_CLIENT = 700_000


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    own = tmp_path_factory.getbasetemp()
    # Processes of one run share what is above their own directories.
    return build((own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "distributions")


def test_each_role_has_commands() -> None:
    assert ROLES.keys() >= UNWANTED.keys()


def test_a_build_leaves_the_clone_without_stubs(built: Built) -> None:
    assert list(built.clone.rglob("*_pb2*")) == []
    assert run("git", "-C", built.clone, "status", "--porcelain") == ""


def test_each_folder_has_an_sdist_and_a_wheel(built: Built) -> None:
    for place in (built.sdists.glob("*.tar.gz"), built.direct.glob("*.whl"), built.wheels.glob("*.whl")):
        assert len(list(place)) == len(FOLDERS)


def test_a_wheel_is_the_same_from_the_clone_and_from_the_sdist(built: Built) -> None:
    for wheel in built.wheels.glob("*.whl"):
        assert contents(built.direct / wheel.name) == contents(wheel), wheel.name


def test_the_contracts_come_with_stubs_and_their_types(built: Built) -> None:
    names = set(contents(built.wheel("kadeploy-contracts")))
    protos = {
        str(path.relative_to(CHECKOUT / "protos")) for path in (CHECKOUT / "protos" / "kadeploy").rglob("*.proto")
    }
    assert protos <= names
    stubs = {path.replace(".proto", ending) for path in protos for ending in ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py")}
    assert stubs <= names
    assert "kadeploy/py.typed" in names


@pytest.mark.parametrize("name", ROLES)
def test_a_distribution_alone_brings_commands_that_start(built: Built, name: str, tmp_path: Path) -> None:
    python = tmp_path / "environment" / "bin" / "python"
    run(UV, "venv", "--quiet", tmp_path / "environment")
    run(UV, "pip", "install", "--quiet", "--only-binary", ":all:", "--python", python, *built.closure(name))
    run(UV, "pip", "check", "--quiet", "--python", python)
    lines = run(UV, "pip", "freeze", "--quiet", "--python", python).splitlines()
    installed = {line.partition("==")[0].partition(" @ ")[0].lower() for line in lines}
    assert name in installed
    assert installed.isdisjoint(UNWANTED.get(name, set()) | DEVELOPMENT)
    others = {role for role in ROLES if role != name}
    assert installed.isdisjoint(others)
    for command in ROLES[name]["scripts"]:
        # Without this process's variables and in another directory: nothing of the checkout is in reach.
        clean = ("env", "-i", "-C", tmp_path, "PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", python.parent / command)
        assert run(*clean, "--version").split()[-1] == ROLES[name]["version"]
        assert run(*clean, "--help").lower().startswith("usage: " + command)


def test_the_client_is_small(built: Built) -> None:
    assert sum(wheel.stat().st_size for wheel in built.closure("kadeploy-client")) < LARGEST_CLIENT


@pytest.mark.parametrize("version", PYTHONS)
@pytest.mark.parametrize("role", ["inventory", "deployer", "bootctl", "client"])
def test_the_lock_has_files_for_each_python(role: str, version: str) -> None:
    lock = CHECKOUT / "requirements" / f"{role}.txt"
    options = ("--python-version", version, "--no-deps", "--only-binary", ":all:", "--require-hashes", "--dry-run")
    run(UV, "pip", "install", "--quiet", *options, "--python", "/usr/bin/python3", "--target", "/nonexistent",
        "--requirement", lock)  # fmt: skip


def contents(wheel: Path) -> dict[str, int]:
    """Returns the check sum of each file of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {entry.filename: entry.CRC for entry in archive.infolist()}
