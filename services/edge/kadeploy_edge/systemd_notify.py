"""What systemd is told (sd_notify): when the service is ready, how it is, and that its loop still turns.

Our own few lines: the protocol is a datagram of text, and the libraries for it need systemd's own C library.
"""

import logging
import os
import socket

logger = logging.getLogger(__name__)

SOCKET, WATCHDOG = "NOTIFY_SOCKET", "WATCHDOG_USEC"
LONGEST_STATUS = 200


def notify_systemd(*lines: str) -> None:
    """Sends lines such as "READY=1"; nothing where the process is no service of systemd's."""
    path = os.environ.get(SOCKET, "")
    if not path.startswith(("/", "@")):
        return
    # A name that begins with @ stands for one in the abstract space.
    address = "\0" + path[1:] if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as out:
            out.sendto("\n".join(lines).encode(), address)
    except OSError as error:
        logger.warning("systemd cannot be told how the service is: %s", error)


def status_line(problem: str) -> str:
    """Returns the line that `systemctl status` shows: what is wrong, or that the service serves."""
    text = f"not serving: {problem}" if problem else "serving"
    return f"STATUS={' '.join(text.split())[:LONGEST_STATUS]}"


def watchdog_pause() -> float | None:
    """Returns how often, in seconds, systemd wants a sign of life: half its patience. None: it wants none."""
    text = os.environ.get(WATCHDOG, "")
    return int(text) / 2_000_000 if text.isdigit() and int(text) else None
