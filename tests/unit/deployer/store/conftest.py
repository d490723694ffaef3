"""A database of its own for every test, on each engine."""

from collections.abc import Iterator

import pytest
from sqlalchemy.engine import URL

from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore


@pytest.fixture
def database(url: URL) -> Iterator[Database]:
    """Yields a database with connections and threads of its own."""
    database = Database(url)
    yield database
    database.close()


@pytest.fixture
def store(database: Database) -> SqlDeploymentStore:
    """Returns a store on it."""
    return SqlDeploymentStore(database)
