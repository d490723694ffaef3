"""Asks a DHCP server for an offer (RFC 2131), as a relay does for a machine. The offer is not taken."""

import os
import socket
import struct
from dataclasses import dataclass

SERVER_PORT = 67
SECONDS = 4.0
_COOKIE = b"\x63\x82\x53\x63"
_HEADER = "!4BIHH4s4s4s4s16s64s128s"
_DISCOVER, _OFFER = 1, 2
_TYPE, _END = 53, 255


class DhcpError(Exception):
    """No offer; `str()` is a clause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What was offered: the address, the boot server and the file."""

    address: str
    next_server: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DhcpServer:
    """A server. Relays are answered on the port from which they ask, which is the server's own."""

    host: str
    port: int = SERVER_PORT
    reply_port: int = SERVER_PORT
    seconds: float = SECONDS

    def offer(self, mac_address: str) -> Offer:
        """Returns what the server offers a machine. Raises DhcpError; PermissionError without the right to the port."""
        number = int.from_bytes(os.urandom(4))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.settimeout(self.seconds)
            own.bind((_own_address(self.host), self.reply_port))
            relay = socket.inet_aton(own.getsockname()[0])
            own.sendto(_discover(number, relay, bytes.fromhex(mac_address.replace(":", ""))), (self.host, self.port))
            try:
                while True:
                    found = _read(own.recv(2048), number)
                    if found is not None:
                        return found
            except TimeoutError:
                raise DhcpError(f"no offer from {self.host} within {self.seconds:g} s") from None


def _own_address(host: str) -> str:
    """Returns the address of this host from which another one is reached."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, SERVER_PORT))
        return str(probe.getsockname()[0])


def _discover(number: int, relay: bytes, mac: bytes) -> bytes:
    nothing = bytes(4)
    header = struct.pack(
        _HEADER, 1, 1, 6, 1, number, 0, 0, nothing, nothing, nothing, relay, mac.ljust(16, b"\0"), b"", b""
    )
    # A PXE client of the BIOS kind: servers that tell apart answer it with a loader.
    options = bytes([_TYPE, 1, _DISCOVER, 55, 4, 1, 3, 66, 67, 60, 9]) + b"PXEClient" + bytes([93, 2, 0, 0, _END])
    return header + _COOKIE + options


def _read(message: bytes, number: int) -> Offer | None:
    """Returns the offer that a message holds for this question; None for any other message."""
    size = struct.calcsize(_HEADER)
    if len(message) < size + len(_COOKIE) or message[size : size + 4] != _COOKIE:
        return None
    fields = struct.unpack(_HEADER, message[:size])
    options = _options(message[size + 4 :])
    if fields[0] != 2 or fields[4] != number or options.get(_TYPE) != bytes([_OFFER]):  # noqa: PLR2004
        return None
    file = options.get(67, fields[13]).rstrip(b"\0").decode(errors="replace")
    server = options.get(66, b"").rstrip(b"\0").decode(errors="replace") or socket.inet_ntoa(fields[9])
    return Offer(address=socket.inet_ntoa(fields[8]), next_server=server, file=file)


def _options(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    place = 0
    while place + 1 < len(data) and data[place] != _END:
        if data[place] == 0:
            place += 1
            continue
        length = data[place + 1]
        found[data[place]] = data[place + 2 : place + 2 + length]
        place += 2 + length
    return found
