"""compose.yaml and what it mounts, as far as no engine is needed: its form, rules for containers, readable settings."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kadeploy_bootctl.settings import Settings as BootctlSettings
from kadeploy_cli.connection.settings import Settings as ClientSettings
from kadeploy_database.access import MariadbAccess
from kadeploy_deployer.settings import Settings as DeployerSettings
from kadeploy_inventory.settings import Settings as InventorySettings
from tests.containers.site import COMPOSE_FILE, QUICK_HEALTH, write_manuals_override
from tests.containers.tools import CHECKOUT, compose_program

PROJECT: dict[str, Any] = yaml.safe_load((CHECKOUT / "compose.yaml").read_text())
SETTINGS = CHECKOUT / "services" / "compose"


@pytest.mark.integration
def test_compose_itself_accepts_the_file_and_all_that_may_be_laid_over_it(tmp_path: Path) -> None:
    override = write_manuals_override(tmp_path, parent="eth1")
    for over in ([], [override], [QUICK_HEALTH]):
        files = [word for path in (COMPOSE_FILE, *over) for word in ("--file", path)]
        command = [compose_program(), "--profile", "*", *files, "config", "--quiet"]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), [path.name for path in over]


@pytest.mark.parametrize("name", PROJECT["services"])
def test_every_container_is_confined(name: str) -> None:
    service = PROJECT["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "cpus", "pids_limit", "logging"} <= set(service)
    # One container sets the owners of the TFTP tree, without network, and ends.
    assert ("user" in service and service["user"].startswith("0")) == (name == "tree-init")
    assert "cap_add" not in service or (name, service["network_mode"]) == ("tree-init", "none")


@pytest.mark.parametrize("name", PROJECT["services"])
def test_every_container_that_stays_has_a_health_check(name: str) -> None:
    service = PROJECT["services"][name]
    stays = service.get("restart") == "unless-stopped"
    assert stays == ("healthcheck" in service)


def test_the_database_network_leads_nowhere_and_has_the_database_on_it() -> None:
    assert PROJECT["networks"]["database"]["internal"] is True
    assert PROJECT["services"]["mariadb"]["networks"] == ["database"]
    on_it = {name for name, service in PROJECT["services"].items() if "database" in service.get("networks", ())}
    assert on_it == {"mariadb", "database-init-inventory", "database-init-deployer", "inventory", "deployer"}


def test_the_database_is_spoken_to_by_mutual_tls_alone() -> None:
    mariadb = PROJECT["services"]["mariadb"]
    assert "--require-secure-transport=ON" in mariadb["command"]
    for option in ("cert", "key", "ca", "crl"):
        assert any(word.startswith(f"--ssl-{option}=/etc/kadeploy/tls/") for word in mariadb["command"]), option
    for name, shown in (
        ("mariadb", "mariadb"),
        ("database-init-inventory", "inventory"),
        ("database-init-deployer", "deployer"),
        ("inventory", "inventory"),
        ("deployer", "deployer"),
    ):
        volume = f"${{KADEPLOY_SITE:-/etc/kadeploy}}/pki/services/{shown}:/etc/kadeploy/tls:ro"
        assert volume in PROJECT["services"][name]["volumes"], name
    inventory = InventorySettings.load(SETTINGS / "inventory.toml")
    deployer = DeployerSettings.load(SETTINGS / "deployer.toml")
    for access in (inventory.deploy_database, inventory.deploy_right_database, deployer.database):
        assert isinstance(access, MariadbAccess)
        assert (access.host, access.channel.is_encrypted) == ("mariadb", True)


def test_passwords_and_keys_are_files_and_every_one_is_used() -> None:
    used = {secret for service in PROJECT["services"].values() for secret in service.get("secrets", ())}
    assert used == set(PROJECT["secrets"])
    assert all(set(secret) == {"file"} for secret in PROJECT["secrets"].values())


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("inventory", InventorySettings),
        ("deployer", DeployerSettings),
        ("bootctl", BootctlSettings),
        ("client", ClientSettings),
    ],
)
def test_the_settings_can_be_read_and_demand_certificates(name: str, kind: Any) -> None:
    settings = kind.load(SETTINGS / f"{name}.toml")
    assert settings.tls.private_key == Path("/etc/kadeploy/tls/private_key.pem")
