"""How an address is reached: a Unix socket, TCP with certificates, or, when asked for aloud, plain TCP on loopback."""

import ipaddress
from enum import Enum

from kadeploy_edge.errors import Invalid
from kadeploy_edge.tls import TlsFiles

LONGEST_SOCKET_PATH = 107
LAST_PORT = 65535


class UnsafeAddress(Invalid):
    """The address could be reached by somebody who proves nothing, or is none."""

    reason = "UNSAFE_ADDRESS"


class Transport(Enum):
    """What carries the calls, and so what says who calls."""

    # Plain text; the permissions of the socket's file say who may speak, and the caller names himself.
    SOCKET = "socket"
    # Mutual TLS; the certificate names the caller.
    TLS = "tls"
    # Plain text on loopback; every process of this host is believed.
    PLAIN = "plain"


def choose_transport(address: str, *, tls: TlsFiles | None, insecure: bool) -> Transport:
    """Returns how an address is reached, or raises UnsafeAddress with one sentence.

    Args:
        address: "unix:/path" or "host:port".
        tls: the certificates of this side, if it has any.
        insecure: whether plain text was asked for; it wins over certificates, on loopback alone.
    """
    if address.startswith("unix:"):
        path = address.removeprefix("unix:")
        if not path.startswith("/") or len(path.encode()) > LONGEST_SOCKET_PATH:
            raise _unsafe(address, f"a socket's path is absolute and at most {LONGEST_SOCKET_PATH} bytes long")
        return Transport.SOCKET
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) <= LAST_PORT):
        raise _unsafe(address, "an address is unix:/path or HOST:PORT")
    if insecure:
        if not is_loopback(address):
            raise _unsafe(address, "insecure is for loopback alone; give certificates instead")
        return Transport.PLAIN
    if tls is None:
        raise _unsafe(address, "TCP needs certificates: give [tls], or insecure for plain text on loopback")
    return Transport.TLS


def is_loopback(address: str) -> bool:
    """Returns whether "host:port" can be reached from this host alone."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _unsafe(address: str, why: str) -> UnsafeAddress:
    return UnsafeAddress(f"{address}: {why}", metadata={"address": address})
