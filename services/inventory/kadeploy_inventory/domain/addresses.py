"""What a machine is known by: MAC, IPv4 and controller addresses, its UUID.

Each parser returns the normal form or raises ValueError.
"""

import ipaddress
import re

_MAC = re.compile(r"[0-9a-f]{2}(?P<sep>[:-])[0-9a-f]{2}(?:(?P=sep)[0-9a-f]{2}){4}\Z")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_CONTROLLER = re.compile(r"[A-Za-z0-9\[][A-Za-z0-9._:\[\]-]{0,254}\Z")
_MULTICAST_BIT = 0x01
_EVERYBODY = ipaddress.IPv4Address("255.255.255.255")


def parse_mac_address(text: str) -> str:
    """Returns six bytes in lower case with colons; old files' upper case and dashes are understood."""
    lower = text.lower()
    if not _MAC.match(lower):
        raise ValueError(f"is no MAC address such as 00:16:3e:00:00:01: {text!r}")
    octets = lower.replace("-", ":").split(":")
    if int(octets[0], 16) & _MULTICAST_BIT:
        raise ValueError(f"is a group address, not one of a network card: {text!r}")
    if octets == ["00"] * 6:
        raise ValueError(f"is the empty address: {text!r}")
    return ":".join(octets)


def parse_ip_address(text: str) -> str:
    """Returns a dotted IPv4 address that a host can have."""
    try:
        address = ipaddress.IPv4Address(text)
    except ipaddress.AddressValueError:
        raise ValueError(f"is no dotted IPv4 address: {text!r}") from None
    if address.is_multicast or address.is_unspecified or address == _EVERYBODY:
        raise ValueError(f"is no address of a single host: {text!r}")
    return str(address)


def parse_controller_address(text: str) -> str:
    """Returns the address of a management controller: a host name or an IP address, perhaps with a port."""
    if text and not _CONTROLLER.match(text):
        raise ValueError(f"is no host name or address: {text!r}")
    return text


def parse_machine_uuid(text: str) -> str:
    """Returns a machine's UUID in lower case; the empty one, which nobody knows, stays."""
    lower = text.lower()
    if lower and not _UUID.match(lower):
        raise ValueError(f"is no UUID such as b8945908-d6a6-41a9-611d-74a6ab80b83d: {text!r}")
    if lower and len(set(lower) - {"-"}) == 1:
        raise ValueError(f"is what boards without a UUID of their own say: {text!r}")
    return lower
