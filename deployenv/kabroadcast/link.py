"""The speed of this node's link to the others."""

import fcntl
import socket
import struct

SIOCGIFADDR = 0x8915


def link_mbits(address: str) -> int:
    """Returns the speed of the network interface that has an address in Mbit/s; 0 when that cannot be known."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(asking.fileno(), SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                if socket.inet_ntoa(answer[20:24]) == address:
                    with open(f"/sys/class/net/{name}/speed", "rb") as speed:  # noqa: PTH123 - pathlib is slow to import
                        return max(0, int(speed.read()))
            except (OSError, ValueError):
                # An interface without an address, or one that has no speed.
                continue
    return 0
