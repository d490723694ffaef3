"""How many chains a broadcast has: the arithmetic of docs/performance.md."""

import fcntl
import socket
import struct
from pathlib import Path

HOP_SECONDS = 0.0008
"""What one more node costs a chain: what it gathers, and the time that it takes to pass it on."""

START_UP_SHARE = 0.02
"""The part of the transfer that the start-up of a chain may take before there are several."""

INTERFACES = Path("/sys/class/net")
_SIOCGIFADDR = 0x8915


def chains_for(size: int, *, nodes: int, node_mbits: int, source_mbits: int) -> int:
    """Returns how many chains finish first.

    The deployer's link carries the file once for each chain, so there are at most as many as its link has of the nodes'
    links. Where a speed is not known, there is one.

    Args:
        size: bytes of the file.
        nodes: how many there are.
        node_mbits: the speed of the nodes' links in Mbit/s; 0 or less when it is not known.
        source_mbits: the speed of the deployer's link, likewise.
    """
    if node_mbits <= 0 or source_mbits <= 0 or not size:
        return 1
    transfer = size * 8 / (node_mbits * 1e6)
    wanted = -(-nodes * HOP_SECONDS // (START_UP_SHARE * transfer))
    return max(1, min(int(wanted), source_mbits // node_mbits, nodes))


def how_many_chains(size: int, *, nodes: int, node_mbits: int, source_address: str) -> int:
    """Returns the same for the deployer's link that has an address."""
    return chains_for(size, nodes=nodes, node_mbits=node_mbits, source_mbits=link_mbits(source_address))


def link_mbits(address: str) -> int:
    """Returns the speed of the network interface that has an address in Mbit/s; 0 when that cannot be known."""
    # Not socket.if_nameindex(): it asks by netlink, a family of addresses that the unit's sandbox refuses.
    try:
        names = [path.name for path in INTERFACES.iterdir()]
    except OSError:
        return 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for name in names:
            try:
                answer = fcntl.ioctl(asking.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                if socket.inet_ntoa(answer[20:24]) == address:
                    return max(0, int((INTERFACES / name / "speed").read_text(encoding="ascii")))
            except (OSError, ValueError):
                # An interface without an address, one that has no speed, or a file that is no interface.
                continue
    return 0
