"""The nodes as a DHCP server's own words: pure, so that the same nodes always give the same text."""

import ipaddress
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kadeploy.inventory.v1 import node_pb2
from kadeploy_cli.terminal.failures import UsageFailure

FIRST_LINE = "Made by `ka dhcp render`; changes by hand are lost at the next one."
BIOS_LOADER, UEFI_LOADER = "pxelinux.0", "grubx64.efi"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaders:
    """Where machines fetch their loader.

    Attributes:
        server: the TFTP host's IPv4 address; empty: the DHCP server itself.
        repository: bootctl's tftp_repository.
    """

    server: str = ""
    repository: str = "PXEClient"

    def file(self, node: node_pb2.Node) -> str:
        """Returns the path of the node's first loader."""
        name = UEFI_LOADER if node.firmware == node_pb2.FIRMWARE_UEFI else BIOS_LOADER
        return f"{self.repository}/{name}"


def loaders(server: str, repository: str) -> Loaders:
    """Returns what the options say, or what is wrong with them."""
    if server:
        try:
            ipaddress.IPv4Address(server)
        except ipaddress.AddressValueError:
            raise UsageFailure(f"--tftp-server {server!r} is no IPv4 address") from None
    path = repository.strip("/")
    if not path or not path.isprintable() or set(path) & set("\"\\, '"):
        raise UsageFailure(f"--repository {repository!r} is no path below the TFTP root")
    return Loaders(server=server, repository=path)


def render_isc(nodes: Sequence[node_pb2.Node], loaders: Loaders) -> str:
    """Returns host declarations for ISC's dhcpd, to be included in its dhcpd.conf."""
    lines = [f"# {FIRST_LINE}"]
    for node in nodes:
        lines += [
            f"host {node.name} {{",
            f"  hardware ethernet {node.mac_address};",
            f"  fixed-address {node.ip_address};",
            f'  option host-name "{node.name}";',
            *([f"  next-server {loaders.server};"] if loaders.server else []),
            f'  filename "{loaders.file(node)}";',
            "}",
        ]
    return "\n".join(lines) + "\n"


def render_dnsmasq(nodes: Sequence[node_pb2.Node], loaders: Loaders) -> str:
    """Returns lines for a file in dnsmasq's conf-dir."""
    lines = [f"# {FIRST_LINE}"]
    tags = {loaders.file(node): _tag(node) for node in nodes}
    end = f",,{loaders.server}" if loaders.server else ""
    lines += [f"dhcp-boot=tag:{tag},{file}{end}" for file, tag in sorted(tags.items())]
    lines += [f"dhcp-host={node.mac_address},set:{_tag(node)},{node.ip_address},{node.name}" for node in nodes]
    return "\n".join(lines) + "\n"


def render_kea(nodes: Sequence[node_pb2.Node], loaders: Loaders) -> str:
    """Returns the list of reservations for Kea's DHCPv4 server, to be included in its configuration."""
    server = {"next-server": loaders.server} if loaders.server else {}
    reservations = [
        {
            "hw-address": node.mac_address,
            "ip-address": node.ip_address,
            "hostname": node.name,
            **server,
            "boot-file-name": loaders.file(node),
        }
        for node in nodes
    ]
    return json.dumps(reservations, indent=2) + "\n"


FORMATS: Mapping[str, Callable[[Sequence[node_pb2.Node], Loaders], str]] = {
    "isc": render_isc,
    "dnsmasq": render_dnsmasq,
    "kea": render_kea,
}
"""The servers whose words we know."""


def _tag(node: node_pb2.Node) -> str:
    return "kadeploy-uefi" if node.firmware == node_pb2.FIRMWARE_UEFI else "kadeploy-bios"
