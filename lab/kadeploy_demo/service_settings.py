"""What stands in the settings file of each service of a site. The keys are explained in the samples beside the services."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kadeploy_demo.site import Site

ADMINISTRATORS = ["root"]

Tables = Mapping[str, Mapping[str, object]]


def service_settings(site: Site, service: str) -> Tables:
    """Returns the tables of one service's settings; the table "" stands at the top of the file."""
    return _TABLES[service](site)


def _inventory(site: Site) -> Tables:
    top = {
        "address": site.addresses["inventory"],
        "administrators": ADMINISTRATORS,
        "deploy_database": str(site.directory / "deploy.db"),
        "deploy_right_database": str(site.directory / "deploy_right.db"),
    }
    return {"": top}


def _bootctl(site: Site) -> Tables:
    top = {
        "address": site.addresses["bootctl"],
        "administrators": ADMINISTRATORS,
        "tftp_root": str(site.tftp_root),
    }
    return {"": top}


def _deployer(site: Site) -> Tables:
    top = {
        "address": site.addresses["deployer"],
        "administrators": ADMINISTRATORS,
    }
    return {"": top}


_TABLES: Mapping[str, Callable[[Site], Tables]] = {
    "inventory": _inventory,
    "bootctl": _bootctl,
    "deployer": _deployer,
}
