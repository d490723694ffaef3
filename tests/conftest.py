"""What the tests of several rooms share."""

from collections.abc import Iterator

import pytest

from tests.mariadb import MariadbServer, running_server


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariadbServer]:
    """A private MariaDB, started for the first test that asks for it. Without one installed those tests fail."""
    with running_server() as server:
        yield server
