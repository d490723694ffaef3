"""What stands in the settings file of each service of a site; the samples beside the services explain the keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kadeploy_demo.site import Site

ADMINISTRATORS = ["root"]

KERNEL_FILES = {"kernel": "deploy-vmlinuz", "initrd": "deploy-initrd"}
CONSOLE = "console=ttyS0,115200 net.ifnames=0 mitigations=off quiet"

Tables = Mapping[str, Mapping[str, object]]


def service_settings(site: Site, service: str) -> Tables:
    """Returns the tables of one service's settings; the table "" stands at the top of the file."""
    return _TABLES[service](site)


def _inventory(site: Site) -> Tables:
    top = {
        "address": site.addresses["inventory"],
        "administrators": ADMINISTRATORS,
    }
    databases = {name: str(site.directory / f"{name}.db") for name in ("deploy", "deploy_right")}
    return {"": top, "database": databases}


def _bootctl(site: Site) -> Tables:
    top = {
        "address": site.addresses["bootctl"],
        "administrators": ADMINISTRATORS,
        "tftp_root": str(site.tftp_root),
    }
    return {"": top, "serial": {"port": 0, "speed": 115200}, "labels.deploy": {**KERNEL_FILES, "arguments": CONSOLE}}


def _deployer(site: Site) -> Tables:
    top = {
        "address": site.addresses["deployer"],
        "administrators": ADMINISTRATORS,
        "inventory_address": site.addresses["inventory"],
        "bootctl_address": site.addresses["bootctl"],
        "cache_directory": str(site.directory / "cache"),
        "ssh_private_key": str(site.cluster_key),
        "deployment_host_keys": str(site.deployment_environment / "ssh_host_ed25519_key.pub"),
    }
    return {"": top, "database": {"deploy_state": str(site.directory / "deploy_state.db")}}


_TABLES: Mapping[str, Callable[[Site], Tables]] = {
    "inventory": _inventory,
    "bootctl": _bootctl,
    "deployer": _deployer,
}
