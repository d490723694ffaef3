"""The frames between nodes, and how they are sent, received and listened for."""

import errno
import socket
import struct
import time

from .failure import Failed, Left

PROTOCOL = b"kabroadcast/1"
FRAME = struct.Struct(">cBI")  # kind, flag, length of what follows
BLOCK = b"B"  # the next block follows
WAIT = b"W"  # still here, the next block is not
GONE = b"G"  # no longer in memory: ask another
SLOW = b"S"  # dropped, because all others waited for this node: ask the source
FAILED = b"X"  # cannot give the block at all; a sentence follows
HELD = 1  # flag: the sender itself is what is slow, not those before it

HEARTBEAT = 1.0  # seconds between two WAIT frames, and between two lines of progress to the deployer
REQUEST_LIMIT = 512


def receive(connection: socket.socket, length: int, deadline: float) -> bytearray:
    """Returns exactly so many bytes; raises Left when they do not come by the deadline."""
    content = bytearray(length)
    view = memoryview(content)
    while view:
        count = connection.recv_into(view)
        if not count:
            raise Left("it closed the connection", closed=True)
        if time.monotonic() > deadline:
            raise Left("it gives too few bytes a second")
        view = view[count:]
    return content


def receive_line(connection: socket.socket) -> bytes:
    """Returns a request without its line feed, or nothing when it is none."""
    line = b""
    while not line.endswith(b"\n"):
        chunk = connection.recv(REQUEST_LIMIT)
        if not chunk or len(line) > REQUEST_LIMIT:
            return b""
        line += chunk
    return line[:-1]


def hang_up(connection: socket.socket) -> None:
    """Wakes whoever is blocked in sending on it."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        # The other side was faster.
        return


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
            return listener
    raise Failed(f"cannot listen on port {port}")
