"""What goes over the wire between two nodes, or a node and the deployer: frames, requests, places, listeners.

A request is a line that goes up; frames come down. docs/broadcast.md has the formats.
"""

import errno
import json
import socket
import struct

from .failure import Failed

PROTOCOL = b"kabroadcast/2"
FRAME = struct.Struct(">c3xIQ")  # kind, length of what follows, how far the sender is
POSITION = struct.Struct(">Q")

DATA = b"D"  # the next bytes of the stream follow
HEARTBEAT = b"H"  # nothing follows
ANCESTORS = b"A"  # the places before the sender follow, as JSON
RETRACTED = b"R"  # POSITION follows: what came after it was wrong and comes again
GONE = b"G"  # the wanted bytes are no longer in memory: ask another
PASSED = b"S"  # another node stands behind the sender now, whose place follows as JSON: ask that one
FAILED = b"X"  # nobody can give the file; a sentence follows (the deployer alone)
PROBE = b"P"  # bytes without meaning: how fast they come shows what a link bears
KINDS = frozenset({DATA, HEARTBEAT, ANCESTORS, RETRACTED, GONE, PASSED, FAILED, PROBE})

LARGEST_FRAME = 128 << 10  # of data; a heartbeat must not wait long behind one
LARGEST_MESSAGE = 64 << 10  # of every other kind
PROBE_BYTES = 64 << 10
REQUEST_LIMIT = 4096

SO_RCVLOWAT = socket.SO_RCVLOWAT
TCP_NOTSENT_LOWAT = 25  # of Linux; Python has no name for it
SIOCOUTQ = 0x5411  # ioctl: bytes of a socket that its peer has not acknowledged


class Place:
    """Where bytes of the file can be had."""

    def __init__(self, name: str, address: str, port: int, *, source: bool = False) -> None:
        self.name = name
        self.address = address
        self.port = port
        self.source = source

    def document(self) -> dict[str, object]:
        """Returns it for JSON."""
        return {"name": self.name, "address": self.address, "port": self.port}


def read_place(document: object) -> Place:
    """Returns the place that a JSON object names. Raises ValueError."""
    if not isinstance(document, dict):
        raise ValueError("a place is an object")  # noqa: TRY004 - of what came over the wire
    try:
        return Place(str(document["name"]), str(document["address"]), int(document["port"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"a place has no {error}") from error


def frame(kind: bytes, content: bytes = b"", *, position: int = 0) -> bytes:
    """Returns a whole frame that is not data. `position`: how far the sender is."""
    return FRAME.pack(kind, len(content), position) + content


def message(content: dict[str, object]) -> bytes:
    """Returns a line of JSON."""
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def listen(address: str, port: int, *, backlog: int) -> socket.socket:
    """Returns a listener on the node's own address, or on all where the deployer knows the node by another."""
    for place in (address, ""):
        listener = socket.socket(socket.AF_INET6 if ":" in place else socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((place, port))
            listener.listen(backlog)
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRNOTAVAIL and place:
                continue
            raise Failed(f"cannot listen on port {port}: {error.strerror}") from error
        else:
            listener.setblocking(False)
            return listener
    raise Failed(f"cannot listen on port {port}")


def prepare(connection: socket.socket) -> None:
    """Makes a connection one of the loop's: it never blocks, and little lies unsent in it."""
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, LARGEST_FRAME)
