"""The nodes as a DHCP server's own words: pure, so that the same nodes always give the same text."""

import ipaddress
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from kadeploy.inventory.v1 import node_pb2
from kadeploy_cli.terminal.failures import UsageFailure

FIRST_LINE = "Made by `ka dhcp render`; changes by hand are lost at the next one."
BIOS_LOADER, UEFI_LOADER = "pxelinux.0", "grubx64.efi"
INTEL_REPOSITORY, INTEL_LOADER = "X86PC/linux", "linux.0"
"""bootctl's second repository, where its first loader has another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaders:
    """Where machines fetch their loader.

    Attributes:
        server: the TFTP host's IPv4 address; empty: the DHCP server itself.
        repository: bootctl's tftp_repository, or its tftp_repository_intel.
        bios: the name of the first loader of machines with a BIOS, in that repository.
    """

    server: str = ""
    repository: str = "PXEClient"
    bios: str = BIOS_LOADER

    def file(self, node: node_pb2.Node) -> str:
        """Returns the path of the node's first loader."""
        name = UEFI_LOADER if node.firmware == node_pb2.FIRMWARE_UEFI else self.bios
        return f"{self.repository}/{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """A network of nodes. `router` is None where they need none."""

    network: IPv4Network
    router: IPv4Address | None = None


def loaders(server: str, repository: str, loader: str = "") -> Loaders:
    """Returns what the options say, or what is wrong with them. Without `loader`: what `init` puts there."""
    if server:
        try:
            ipaddress.IPv4Address(server)
        except ipaddress.AddressValueError:
            raise UsageFailure(f"--tftp-server {server!r} is no IPv4 address") from None
    path = repository.strip("/")
    if not path or _unquotable(path):
        raise UsageFailure(f"--repository {repository!r} is no path below the TFTP root")
    if _unquotable(loader) or "/" in loader:
        raise UsageFailure(f"--loader {loader!r} is no file name")
    known = INTEL_LOADER if path == INTEL_REPOSITORY else BIOS_LOADER
    return Loaders(server=server, repository=path, bios=loader or known)


def subnets(texts: Sequence[str]) -> tuple[Subnet, ...]:
    """Returns the networks that "172.16.0.0/16,172.16.0.1" and the like name, in their order."""
    found: list[Subnet] = []
    for text in texts:
        network, _, router = text.partition(",")
        try:
            subnet = Subnet(network=IPv4Network(network), router=IPv4Address(router) if router else None)
        except ValueError:
            raise UsageFailure(
                f"--subnet {text!r} is no network: write it as 172.16.0.0/16 or, with the router, "
                "172.16.0.0/16,172.16.0.1"
            ) from None
        if subnet.router and subnet.router not in subnet.network:
            raise UsageFailure(f"--subnet {text!r}: the router is not in the network")
        for other in found:
            if other.network.overlaps(subnet.network):
                raise UsageFailure(f"--subnet {text!r} overlaps {other.network}")
        found.append(subnet)
    return tuple(found)


def by_subnet(nodes: Sequence[node_pb2.Node], wanted: Sequence[Subnet]) -> list[tuple[Subnet, list[node_pb2.Node]]]:
    """Returns each network with its nodes. Raises UsageFailure if a node is in none of them."""
    groups: list[tuple[Subnet, list[node_pb2.Node]]] = [(subnet, []) for subnet in wanted]
    for node in nodes:
        home = next((group for subnet, group in groups if IPv4Address(node.ip_address) in subnet.network), None)
        if home is None:
            raise UsageFailure(f"{node.name} ({node.ip_address}) is in none of the networks of --subnet")
        home.append(node)
    return groups


def render_isc(nodes: Sequence[node_pb2.Node], loaders: Loaders, subnets: Sequence[Subnet] = ()) -> str:
    """Returns host declarations for ISC's dhcpd, to be included in its dhcpd.conf; with subnets, these around them."""
    lines = [f"# {FIRST_LINE}"]
    for subnet, members in by_subnet(nodes, subnets) if subnets else ():
        lines.append(f"subnet {subnet.network.network_address} netmask {subnet.network.netmask} {{")
        lines += [f"  option routers {subnet.router};"] if subnet.router else []
        lines += [f"  {line}" for node in members for line in _isc_host(node, loaders)]
        lines.append("}")
    if not subnets:
        lines += [line for node in nodes for line in _isc_host(node, loaders)]
    return "\n".join(lines) + "\n"


def _isc_host(node: node_pb2.Node, loaders: Loaders) -> list[str]:
    return [
        f"host {node.name} {{",
        f"  hardware ethernet {node.mac_address};",
        f"  fixed-address {node.ip_address};",
        f'  option host-name "{node.name}";',
        *([f"  next-server {loaders.server};"] if loaders.server else []),
        f'  filename "{loaders.file(node)}";',
        "}",
    ]


def render_dnsmasq(nodes: Sequence[node_pb2.Node], loaders: Loaders, subnets: Sequence[Subnet] = ()) -> str:
    """Returns lines for a file in dnsmasq's conf-dir; with subnets, a range without free addresses for each."""
    lines = [f"# {FIRST_LINE}"]
    for number, (subnet, _) in enumerate(by_subnet(nodes, subnets) if subnets else (), start=1):
        network, tag = subnet.network, f"kadeploy-subnet-{number}"
        lines.append(f"dhcp-range=set:{tag},{network.network_address},static,{network.netmask}")
        # Without a router of its own dnsmasq would name itself.
        lines.append(f"dhcp-option=tag:{tag},option:router{f',{subnet.router}' if subnet.router else ''}")
    tags = {loaders.file(node): _tag(node) for node in nodes}
    end = f",,{loaders.server}" if loaders.server else ""
    lines += [f"dhcp-boot=tag:{tag},{file}{end}" for file, tag in sorted(tags.items())]
    lines += [f"dhcp-host={node.mac_address},set:{_tag(node)},{node.ip_address},{node.name}" for node in nodes]
    return "\n".join(lines) + "\n"


def render_kea(nodes: Sequence[node_pb2.Node], loaders: Loaders, subnets: Sequence[Subnet] = ()) -> str:
    """Returns the list of reservations for Kea's DHCPv4 server, to be included in its configuration.

    With subnets it is the list of these, with the reservations in them.
    """
    if not subnets:
        return json.dumps(_kea_reservations(nodes, loaders), indent=2) + "\n"
    networks = [
        {
            "id": number,
            "subnet": str(subnet.network),
            **({"option-data": [{"name": "routers", "data": str(subnet.router)}]} if subnet.router else {}),
            "reservations": _kea_reservations(members, loaders),
        }
        for number, (subnet, members) in enumerate(by_subnet(nodes, subnets), start=1)
    ]
    return json.dumps(networks, indent=2) + "\n"


def _kea_reservations(nodes: Sequence[node_pb2.Node], loaders: Loaders) -> list[dict[str, str]]:
    server = {"next-server": loaders.server} if loaders.server else {}
    return [
        {
            "hw-address": node.mac_address,
            "ip-address": node.ip_address,
            "hostname": node.name,
            **server,
            "boot-file-name": loaders.file(node),
        }
        for node in nodes
    ]


FORMATS: Mapping[str, Callable[[Sequence[node_pb2.Node], Loaders, Sequence[Subnet]], str]] = {
    "isc": render_isc,
    "dnsmasq": render_dnsmasq,
    "kea": render_kea,
}
"""The servers whose words we know."""


def _tag(node: node_pb2.Node) -> str:
    return "kadeploy-uefi" if node.firmware == node_pb2.FIRMWARE_UEFI else "kadeploy-bios"


def _unquotable(text: str) -> bool:
    return not text.isprintable() or bool(set(text) & set("\"\\, '"))
