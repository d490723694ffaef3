"""A database of its own for every test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore
from tests.fakes.deployment_world import make_database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Yields an empty database with the newest schema."""
    database = make_database(tmp_path)
    yield database
    database.close()


@pytest.fixture
def store(database: Database) -> SqlDeploymentStore:
    """Returns a store on it."""
    return SqlDeploymentStore(database)
