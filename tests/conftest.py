"""What the tests of several rooms share."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.mariadb import MariadbServer, running_server

# How long an example takes says something about the machine and nothing about the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariadbServer]:
    """A private MariaDB, started for the first test that asks for it. Without one installed those tests fail."""
    with running_server() as server:
        yield server
