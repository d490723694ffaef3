"""Databases on each engine, for tests that ask for one by its URL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from kadeploy_deployer.store import schema
from kadeploy_deployer.store.database import make_engine
from tests.fakes.deployment_world import make_database
from tests.mariadb import MariadbServer


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[URL]:
    """Yields the URL of an empty database with the newest schema."""
    if request.param == "sqlite":
        database = make_database(tmp_path)
        database.close()
        yield database.engine.url
        return
    server: MariadbServer = request.getfixturevalue("mariadb_server")
    with server.database() as name:
        engine = make_engine(server.url(name))
        schema.upgrade(engine)
        engine.dispose()
        yield server.url(name)
