"""Which HTTP servers a site lets the deployer fetch from: their names, and the addresses that these may stand for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

USUAL_PORTS = {"http": 80, "https": 443}
_LAST_PORT = 65535
_SIX_TO_FOUR = IPv6Network("2002::/16")
_PATTERN = re.compile(
    r"(?:\[(?P<literal>[0-9a-fA-F:.]+)\]|(?P<name>(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?))(?::(?P<port>[0-9]{1,5}))?\Z"
)


@dataclass(frozen=True, slots=True)
class ServerPattern:
    """A server as the site names it. `name`: in lower case; "*.example.org" stands for all names below it."""

    name: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> "ServerPattern":
        """Reads "host", "host:port", "*.suffix" or "[IPv6]:port". Raises ValueError."""
        found = _PATTERN.match(text)
        port = int(found["port"]) if found and found["port"] else None
        if found is None or port == 0 or (port or 0) > _LAST_PORT:
            raise ValueError(f"{text!r} is no server such as images.example.org, *.example.org or 192.0.2.1:8080")
        literal = found["literal"]
        return cls(str(IPv6Address(literal)) if literal else found["name"].lower(), port)

    def fits(self, host: str, port: int, *, scheme: str) -> bool:
        """Returns whether this is the server of an address. Without a port of its own, it is the scheme's usual one."""
        if port != (self.port or USUAL_PORTS[scheme]):
            return False
        if self.name.startswith("*."):
            return host.endswith(self.name[1:]) and literal_address(host) is None
        return host == self.name

    def __str__(self) -> str:
        """The server as it is written."""
        name = f"[{self.name}]" if ":" in self.name else self.name
        return name if self.port is None else f"{name}:{self.port}"


def is_allowed_address(address: Address, networks: Sequence[Network]) -> bool:
    """Returns whether a server may have this address: one of the Internet's, or of a network that the site named."""
    inner = getattr(address, "ipv4_mapped", None) or address
    return any(inner in network for network in networks) or not is_special(inner)


def is_special(address: Address) -> bool:
    """Returns whether an address is private, loopback, link-local, multicast, a way to another one, or set aside."""
    return (
        not address.is_global
        or address.is_multicast
        or address.is_reserved
        or (isinstance(address, IPv6Address) and (address.is_site_local or address in _SIX_TO_FOUR))
    )


def literal_address(host: str) -> Address | None:
    """Returns the address that a host's name is, None for a real name."""
    try:
        return ip_address(host)
    except ValueError:
        return None
