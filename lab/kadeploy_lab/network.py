"""The network of a lab: one namespace with a bridge, a tap per machine, and the BMCs' addresses.

Whoever runs inside the namespace belongs to the lab: that is how the lab finds everything it must end,
without names, pid files or luck.
"""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from kadeploy_lab import plan
from kadeploy_lab.commands import exec_in, run
from kadeploy_lab.errors import LabError
from kadeploy_lab.plan import LabNode

_NAMESPACES = Path("/run/netns")
_TERM_SECONDS = 5.0
_KILL_SECONDS = 10.0


def has_ipv6() -> bool:
    """Whether this kernel speaks IPv6 (a host may have been booted without it)."""
    return Path("/proc/sys/net/ipv6").is_dir()


def layout(nodes: Sequence[LabNode], *, ipv6: bool) -> list[str]:
    """The `ip` commands, one a line, that lay the network inside an empty namespace."""
    lines = [
        "link set lo up",
        # With an address of its own, the bridge keeps it whatever the taps do; nodes cache it.
        f"link add {plan.BRIDGE} address {plan.BRIDGE_MAC} type bridge stp_state 0 forward_delay 0",
        f"addr add {plan.GATEWAY_IP}/24 dev {plan.BRIDGE}",
    ]
    if ipv6:
        lines.append(f"addr add {plan.IPV6_GATEWAY} dev {plan.BRIDGE} nodad")
    for index, node in enumerate(nodes, start=1):
        lines += [
            f"tuntap add {plan.tap(index)} mode tap",
            f"link set {plan.tap(index)} addrgenmode none",
            f"link set {plan.tap(index)} master {plan.BRIDGE} up",
            f"addr add {node.bmc_address}/32 dev lo",
        ]
    return [*lines, f"link set {plan.BRIDGE} up"]


def create(namespace: str, nodes: Sequence[LabNode]) -> None:
    """Makes the namespace and lays the network in it."""
    lines = layout(nodes, ipv6=has_ipv6())
    try:
        run(["ip", "netns", "add", namespace])
        run(["ip", "-netns", namespace, "-batch", "-"], stdin="\n".join(lines) + "\n")
    except LabError as refusal:
        raise LabError(
            f"The lab's network cannot be made: {refusal} In a container, it must be a privileged one."
        ) from refusal


def exists(namespace: str) -> bool:
    """Whether the namespace is there."""
    return (_NAMESPACES / namespace).exists()


def namespaces() -> list[str]:
    """Every lab's namespace on this host."""
    return sorted(path.name for path in _NAMESPACES.glob("kalab-*"))


def pids(namespace: str) -> list[int]:
    """Every process inside the namespace."""
    return [int(word) for word in run(["ip", "netns", "pids", namespace]).split()]


def listening(namespace: str) -> set[str]:
    """The local UDP addresses (`address:port`) on which somebody listens inside the namespace."""
    lines = run(exec_in(namespace, ["ss", "-H", "-l", "-u", "-n"])).splitlines()
    return {line.split()[3] for line in lines}


def end_processes(namespace: str) -> None:
    """Ends everything inside the namespace: SIGTERM first, SIGKILL for those who stay."""
    if os.getpid() in pids(namespace):
        raise LabError("A lab cannot be ended from inside its own namespace: leave it first.")
    asked: set[int] = set()
    start = time.monotonic()
    while remaining := pids(namespace):
        waited = time.monotonic() - start
        if waited > _TERM_SECONDS + _KILL_SECONDS:
            raise LabError(f"Processes {remaining} of {namespace} do not end, even by SIGKILL.")
        for pid in remaining:
            if waited > _TERM_SECONDS:
                _send(pid, signal.SIGKILL)
            elif pid not in asked:
                asked.add(pid)
                _send(pid, signal.SIGTERM)
        time.sleep(0.1)


def delete(namespace: str) -> None:
    """Removes the namespace, and with it bridge, taps and addresses."""
    run(["ip", "netns", "delete", namespace])


def _send(pid: int, signal_number: signal.Signals) -> None:
    try:
        os.kill(pid, signal_number)
    except ProcessLookupError:
        return  # it ended by itself, which is all we wanted
