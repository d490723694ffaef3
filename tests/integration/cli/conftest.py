"""The three services as fakes on Unix sockets, and a client.toml that names them."""

from collections.abc import Iterator, Sequence

import click
import pytest
from click.testing import CliRunner, Result

from kadeploy_cli.connection.settings import VARIABLE
from kadeploy_edge.server import ServerSettings
from tests.fakes import bootctl_services, deployer_services, inventory_services
from tests.fakes.bootctl_services import BootctlServices
from tests.fakes.deployer_services import DeployerServices
from tests.fakes.inventory_services import InventoryServices
from tests.fakes.site import Run, Site
from tests.fakes.threaded_server import start_in_thread


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("s")
    # What no command calls is not there, and grpc answers UNIMPLEMENTED.
    inventory = InventoryServices()  # type: ignore[abstract]
    deployer = DeployerServices()
    bootctl = BootctlServices()  # type: ignore[abstract]
    servers = []
    lines = ['user = "alice"', "[deadlines]", "call = 5", "silence = 5", "reconnect = 5"]
    for service, fake, names in (
        ("inventory", inventory, inventory_services.SERVICES),
        ("deployer", deployer, deployer_services.SERVICES),
        ("bootctl", bootctl, bootctl_services.SERVICES),
    ):
        address = f"unix:{directory}/{service}.sock"
        settings = ServerSettings(
            service=service, address=address, service_names=names, administrators=frozenset({"alice"})
        )
        server, _ = start_in_thread(fake.register, settings)
        servers.append(server)
        lines += [f"[{service}]", f'address = "{address}"']
    client_file = directory / "client.toml"
    client_file.write_text("\n".join(lines) + "\n")
    monkeypatch.setenv(VARIABLE, str(client_file))
    yield Site(directory=directory, client_file=client_file, inventory=inventory, deployer=deployer, bootctl=bootctl)
    deployer.hold.set()
    for server in servers:
        server.stop()


@pytest.fixture
def run(site: Site) -> Run:  # noqa: ARG001
    """Runs a command in this process."""

    def invoke(command: click.Command, arguments: Sequence[str], stdin: str | None = None) -> Result:
        return CliRunner().invoke(command, list(arguments), input=stdin)

    return invoke
