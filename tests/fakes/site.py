"""A site of three fake services on Unix sockets, as the tests of the commands use it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from click.testing import Result

from tests.fakes.bootctl_services import BootctlServices
from tests.fakes.deployer_services import DeployerServices
from tests.fakes.inventory_services import InventoryServices

# Runs a command in this process: run(command, arguments, stdin=None).
Run = Callable[..., Result]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Three fakes, and the client.toml that names them."""

    directory: Path
    client_file: Path
    inventory: InventoryServices
    deployer: DeployerServices
    bootctl: BootctlServices
