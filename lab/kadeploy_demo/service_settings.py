"""What stands in the settings file of each service of a site; the samples beside the services explain the keys."""

from collections.abc import Mapping, Sequence
from pathlib import Path

ADMINISTRATORS = ["root"]

KERNEL_FILES = {"kernel": "deploy-vmlinuz", "initrd": "deploy-initrd"}
CONSOLE = "console=ttyS0,115200 net.ifnames=0 mitigations=off quiet"

Tables = Mapping[str, Mapping[str, object]]
"""Table names to keys and values; the table "" stands at the top of the file."""


def inventory_settings(address: str, *, directory: Path) -> Tables:
    """Returns the inventory's settings; its databases lie in the directory."""
    databases = {name: str(directory / f"{name}.db") for name in ("deploy", "deploy_right")}
    return {"": {"address": address, "administrators": ADMINISTRATORS}, "database": databases}


def bootctl_settings(address: str, *, tftp_root: Path, boot_logs: Sequence[Path] = ()) -> Tables:
    """Returns bootctl's settings; loader and kernels speak on the first serial port."""
    top = {"address": address, "administrators": ADMINISTRATORS, "tftp_root": str(tftp_root)}
    if boot_logs:
        top["boot_logs"] = [str(path) for path in boot_logs]
    return {"": top, "serial": {"port": 0, "speed": 115200}, "labels.deploy": {**KERNEL_FILES, "arguments": CONSOLE}}


def deployer_settings(
    addresses: Mapping[str, str],
    *,
    directory: Path,
    cluster_key: Path,
    deployment_environment: Path,
    image_directories: Sequence[Path],
) -> Tables:
    """Returns the deployer's settings; its database and cache lie in the directory."""
    top = {
        "address": addresses["deployer"],
        "administrators": ADMINISTRATORS,
        "inventory_address": addresses["inventory"],
        "bootctl_address": addresses["bootctl"],
        "cache_directory": str(directory / "cache"),
        "image_directories": [str(path) for path in image_directories],
        "ssh_private_key": str(cluster_key),
        "deployment_host_keys": str(deployment_environment / "ssh_host_ed25519_key.pub"),
    }
    return {"": top, "database": {"deploy_state": str(directory / "deploy_state.db")}}
