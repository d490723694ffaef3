"""Each service is served once for all calls that are fuzzed."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy.engine import URL

from kadeploy_inventory.store import schema
from kadeploy_inventory.store.engine import open_engine
from tests.integration.fuzz.served import Served, served_bootctl, served_deployer, served_inventory
from tests.mariadb import MariadbServer

DATABASES = ("deploy", "deploy_right")


@pytest.fixture(scope="session")
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The service of the parameter: "inventory on sqlite", "inventory on mariadb", "deployer" or "bootctl"."""
    with ExitStack() as stack:
        if request.param == "bootctl":
            yield stack.enter_context(served_bootctl(tmp_path_factory.mktemp("b")))
            return
        directory = tmp_path_factory.mktemp("i")
        urls: dict[str, str | URL] = {name: f"sqlite:///{directory}/{name}.db" for name in DATABASES}
        if request.param == "inventory on mariadb":
            server: MariadbServer = request.getfixturevalue("mariadb_server")
            urls = {name: server.url(stack.enter_context(server.database())) for name in DATABASES}
        engines = {name: open_engine(url) for name, url in urls.items()}
        for engine in engines.values():
            stack.callback(engine.dispose)
        schema.upgrade(engines)
        inventory = stack.enter_context(served_inventory(engines, directory))
        if request.param == "deployer":
            inventory.furnish()
            yield stack.enter_context(served_deployer(inventory, tmp_path_factory.mktemp("d")))
        else:
            yield inventory
