"""HTTP/2 by hand, as no library speaks it: calls that begin and never send, that trickle, that never read.

Only the writing half is here. Windows are never given back, so a server can send no more than 64 KiB.
"""

import contextlib
import socket
import ssl
import struct
from typing import Self

from kadeploy_edge.tls import TlsFiles

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS = 0x0, 0x1, 0x4
END_STREAM, ACKNOWLEDGED, END_HEADERS = 0x1, 0x1, 0x4
LARGEST_FRAME = 16_384
SECONDS = 10.0
# Entries of HPACK's static table: ":method POST" and ":scheme https" whole, the others by name.
_POST, _HTTPS, _PATH, _AUTHORITY = b"\x83", b"\x87", b"\x04", b"\x01"


class RawConnection:
    """One connection over TLS. Also a context manager.

    Attributes:
        streams: of the calls that were begun.
    """

    def __init__(self, address: tuple[str, int], files: TlsFiles, *, initial_window: int | None = None) -> None:
        """Connects, and shakes hands. `initial_window`: how much an answer may send before we read; None: 64 KiB."""
        context = ssl.create_default_context(cafile=str(files.ca))
        context.load_cert_chain(files.certificate, files.private_key)
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(address, timeout=SECONDS)
        self._socket = context.wrap_socket(plain, server_hostname=address[0])
        self.streams: list[int] = []
        settings = b"" if initial_window is None else struct.pack(">HI", 0x4, initial_window)
        self._socket.sendall(PREFACE + _frame(SETTINGS, 0, 0, settings) + _frame(SETTINGS, ACKNOWLEDGED, 0, b""))

    def begin(self, path: str) -> int:
        """Begins a call of `/package.Service/Method`, and returns its stream."""
        stream = 2 * len(self.streams) + 1
        self.streams.append(stream)
        headers = _POST + _HTTPS + _named(_PATH, path) + _named(_AUTHORITY, "service")
        headers += _field("content-type", "application/grpc") + _field("te", "trailers")
        self._socket.sendall(_frame(HEADERS, END_HEADERS, stream, headers))
        return stream

    def send(self, stream: int, content: bytes, *, end: bool = False) -> None:
        """Sends bytes of a stream as they are."""
        for start in range(0, max(len(content), 1), LARGEST_FRAME):
            part = content[start : start + LARGEST_FRAME]
            last = end and start + LARGEST_FRAME >= len(content)
            self._socket.sendall(_frame(DATA, END_STREAM if last else 0, stream, part))

    def send_message(self, stream: int, content: bytes, *, end: bool = True) -> None:
        """Sends one message of gRPC."""
        self.send(stream, message_prefix(len(content)) + content, end=end)

    def send_frame(self, kind: int, flags: int, stream: int, content: bytes) -> None:
        """Sends any frame."""
        self._socket.sendall(_frame(kind, flags, stream, content))

    def has_ended(self, seconds: float) -> bool:
        """Returns whether the server ends the connection within so many seconds; what it says is of no interest."""
        self._socket.settimeout(seconds)
        try:
            while self._socket.recv(LARGEST_FRAME):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def close(self) -> None:
        """Ends the connection without a word."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def message_prefix(size: int) -> bytes:
    """Returns what announces a message of so many bytes, uncompressed."""
    return struct.pack(">BI", 0, size)


def _frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return struct.pack(">I", len(content))[1:] + struct.pack(">BBI", kind, flags, stream) + content


def _text(text: str) -> bytes:
    encoded = text.encode("ascii")
    # Below 127 bytes a length is one byte.
    assert len(encoded) < 0x7F
    return bytes([len(encoded)]) + encoded


def _named(index: bytes, value: str) -> bytes:
    return index + _text(value)


def _field(name: str, value: str) -> bytes:
    return b"\x00" + _text(name) + _text(value)
