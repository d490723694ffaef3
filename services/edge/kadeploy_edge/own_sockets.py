"""The connections of this process at the port that it listens on, and how to end one.

gRPC accepts connections by itself and hands none of them out, so they are looked for among the files that the process
has open. Each is looked at through a duplicate: whatever becomes of the original meanwhile, no other file is touched.
"""

import functools
import ipaddress
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

FILES = Path("/proc/self/fd")
_IPV6_SITE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The other end of a connection over TCP."""

    host: str
    port: int

    @property
    def site(self) -> str:
        """What counts as one address: an IPv4 address, or the network of 64 bits that an IPv6 address is in."""
        address = ipaddress.ip_address(self.host.partition("%")[0])
        if address.version == 4:  # noqa: PLR2004 - a version
            return str(address)
        return str(ipaddress.ip_network((address, _IPV6_SITE), strict=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenConnection:
    """One connection: its file, the file's inode, which tells it from a later file of that number, and its peer."""

    file: int
    inode: int
    peer: Peer


@functools.lru_cache(maxsize=4096)
def peer_of_call(text: str) -> Peer | None:
    """Returns whom a call comes from, of gRPC's "ipv4:192.0.2.1:4711" or "ipv6:%5B::1%5D:4711"; None for a socket."""
    kind, _, rest = unquote(text).partition(":")
    host, _, port = rest.rpartition(":")
    if kind not in {"ipv4", "ipv6"} or not port.isdigit():
        return None
    return _peer(host.strip("[]"), int(port))


@dataclass(slots=True)
class ConnectionList:
    """The connections at one port, looked for again and again; what was looked at before costs little."""

    port: int
    _known: dict[tuple[int, int], Peer | None] = field(default_factory=dict)

    def read(self) -> list[OpenConnection]:
        """Returns the connections that are open now."""
        before, self._known = self._known, {}
        for path in FILES.iterdir():
            file = int(path.name)
            inode = _socket_inode(file)
            if inode is not None:
                key = (file, inode)
                self._known[key] = before[key] if key in before else self._peer_of(file, inode)
        return [
            OpenConnection(file=file, inode=inode, peer=peer)
            for (file, inode), peer in self._known.items()
            if peer is not None
        ]

    def _peer_of(self, file: int, inode: int) -> Peer | None:
        with _duplicate(file, inode) as found:
            if found is None or found.family not in {socket.AF_INET, socket.AF_INET6}:
                return None
            try:
                if found.getsockname()[1] != self.port:
                    return None
                host, port = found.getpeername()[:2]
            except OSError:  # it listens, or it has ended
                return None
            return _peer(host, port)


def end_connection(connection: OpenConnection) -> None:
    """Ends a connection, for both sides; gRPC then closes its file."""
    with _duplicate(connection.file, connection.inode) as found:
        if found is not None:
            try:
                found.shutdown(socket.SHUT_RDWR)
            except OSError:
                # It ended by itself.
                return


@contextmanager
def _duplicate(file: int, inode: int) -> Iterator[socket.socket | None]:
    """Gives a duplicate of an open socket; None if the file is not that socket any more."""
    try:
        number = os.dup(file)
    except OSError:
        yield None
        return
    if os.fstat(number).st_ino != inode:
        os.close(number)
        yield None
        return
    with socket.socket(fileno=number) as found:
        yield found


def _socket_inode(file: int) -> int | None:
    try:
        found = os.fstat(file)
    except OSError:
        return None
    return found.st_ino if stat.S_ISSOCK(found.st_mode) else None


def _peer(host: str, port: int) -> Peer:
    """Returns a peer; an IPv4 address within an IPv6 one is the IPv4 address."""
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return Peer(host=str(mapped or address), port=port)
