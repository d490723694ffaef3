"""The table [metrics] of a service's settings."""

from kadeploy_edge.settings_table import Table
from kadeploy_edge.transport import LAST_PORT, is_loopback

ADDRESS = "HOST:PORT"


def read_metrics_address(table: Table, default: str) -> str:
    """Returns where metrics are answered; empty where the settings have no [metrics]. Raises BadSettings."""
    metrics = table.table("metrics")
    metrics.describe(
        "Metrics for Prometheus, at http://HOST:PORT/metrics, in plain text and for whoever can reach the address "
        "(docs/monitoring.md). Default: without this table there are none.",
        optional=True,
    )
    if not metrics.is_there:
        return ""
    address = metrics.text("address", default, doc="HOST:PORT.")
    is_open = metrics.flag(
        "open", False, doc="true: the address may be one that other hosts can reach; a firewall says which."
    )
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) <= LAST_PORT):
        raise metrics.refusal("address", f"{ADDRESS} such as {default}", address)
    if not is_open and not is_loopback(address):
        raise metrics.complaint(
            "address", f"metrics.address {address} can be reached by other hosts: give open = true if they may"
        )
    return address
