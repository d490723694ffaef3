"""Fetches the beginning of a file by TFTP (RFC 1350), as a boot loader does."""

import socket
import struct
from dataclasses import dataclass

SECONDS = 3.0
ATTEMPTS = 3
PORT = 69
BLOCK = 512
_READ, _DATA, _ACK, _ERROR = 1, 3, 4, 5


class TftpError(Exception):
    """The file cannot be fetched; `str()` is a clause."""


class NoTftpAnswer(TftpError):
    """Nobody answers there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TftpServer:
    """A server. `seconds`: for each answer."""

    host: str
    port: int = PORT
    seconds: float = SECONDS

    def fetch(self, path: str, *, most: int) -> bytes:
        """Returns at most so many bytes from the beginning of a file. Raises TftpError."""
        request = struct.pack("!H", _READ) + path.encode() + b"\0octet\0"
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as own:
            own.settimeout(self.seconds)
            answer, peer = self._asked(own, request)
            content = b""
            while True:
                number, data = _block(answer)
                content += data
                if len(data) < BLOCK or len(content) >= most:
                    # The server may go on to send what nobody wants any more: say so.
                    own.sendto(struct.pack("!HH", _ERROR, 0) + b"enough\0", peer)
                    return content[:most]
                answer = self._next(own, struct.pack("!HH", _ACK, number), peer, number + 1)

    def _asked(self, own: socket.socket, request: bytes) -> tuple[bytes, tuple[str, int]]:
        for _ in range(ATTEMPTS):
            try:
                own.sendto(request, (self.host, self.port))
                return own.recvfrom(BLOCK + 64)
            except TimeoutError:
                continue
            except OSError as error:
                raise NoTftpAnswer(f"{self.host} cannot be reached: {error.strerror}") from error
        raise NoTftpAnswer(f"no answer from {self.host} port {self.port}")

    def _next(self, own: socket.socket, acknowledgement: bytes, peer: tuple[str, int], wanted: int) -> bytes:
        for _ in range(ATTEMPTS):
            own.sendto(acknowledgement, peer)
            try:
                while True:
                    answer, _ = own.recvfrom(BLOCK + 64)
                    if answer[:2] != struct.pack("!H", _DATA) or _block(answer)[0] == wanted & 0xFFFF:
                        return answer
            except TimeoutError:
                continue
        raise TftpError(f"{self.host} stopped in the middle")


def _block(answer: bytes) -> tuple[int, bytes]:
    kind, number = struct.unpack("!HH", answer[:4]) if len(answer) >= 4 else (0, 0)  # noqa: PLR2004
    if kind == _ERROR:
        raise TftpError(answer[4:].rstrip(b"\0").decode(errors="replace") or f"error {number}")
    if kind != _DATA:
        raise TftpError("the answer is no TFTP")
    return number, answer[4:]
