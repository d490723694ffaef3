"""The services of a lab: DHCP, TFTP and the BMCs, each a process inside the lab's namespace."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from kadeploy_lab import network, plan
from kadeploy_lab.commands import find_program, start_service
from kadeploy_lab.errors import LabError
from kadeploy_lab.plan import LabNode
from kadeploy_lab.state import LabState

UEFI_ARCHITECTURES = (7, 9)  # what firmware with UEFI calls itself in its question (RFC 4578)
TFTP_BLOCK_SIZE = 1468  # a block, its headers and Ethernet's 1500 bytes
_START_SECONDS = 30.0
_SECONDS_PER_NODE = 2.0


def dhcp_argv(
    nodes: Sequence[LabNode], *, pid_file: Path, log: str = "-", ipv6: bool, loaders: str = plan.LOADERS
) -> list[str]:
    """The command line of dnsmasq as a DHCP server: no DNS, no TFTP, no files of the host.

    `log`: into a file it writes each line with its time; "-" is its error output.
    """
    bios, uefi = (f"{loaders}/{name}" for name in plan.LOADER_NAMES[loaders])
    argv = [
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        f"--log-facility={log}",
        "--log-dhcp",
        f"--pid-file={pid_file}",
        "--user=nobody",
        "--port=0",
        f"--interface={plan.BRIDGE}",
        "--except-interface=lo",
        "--bind-interfaces",
        "--leasefile-ro",
        "--dhcp-authoritative",
        f"--dhcp-range={plan.NETWORK.removesuffix('/24')},static,255.255.255.0,1h",
        *(f"--dhcp-host={node.mac},{_set_tag(node)}{node.ip},{node.name}" for node in nodes),
        *(f"--dhcp-match=set:uefi,option:client-arch,{number}" for number in UEFI_ARCHITECTURES),
        *(
            f"--dhcp-boot={tags}tag:{condition},{loader},,{server}"
            for tags, server in _tftp_servers(nodes)
            for condition, loader in (("!uefi", bios), ("uefi", uefi))
        ),
        # iPXE's own option 176 (no-pxedhcp): do not wait for a proxy DHCP server that is not there.
        "--dhcp-option-force=encap:175,176,1b",
    ]
    if ipv6:
        # iPXE waits 13 s for IPv6 on a network where no router advertises itself.
        argv += ["--enable-ra", f"--dhcp-range={plan.IPV6_PREFIX},ra-only,64,1h"]
    return argv


def _set_tag(node: LabNode) -> str:
    """How dnsmasq marks a machine that boots from another TFTP server than the lab's."""
    return "" if node.tftp_server == plan.GATEWAY_IP else f"set:{node.tftp_server},"


def _tftp_servers(nodes: Sequence[LabNode]) -> list[tuple[str, str]]:
    """Returns each TFTP server with the tags that lead to it; the lab's own is for machines without such a tag."""
    others = sorted({node.tftp_server for node in nodes} - {plan.GATEWAY_IP})
    own = "".join(f"tag:!{server}," for server in others)
    return [(own, plan.GATEWAY_IP), *((f"tag:{server},", server) for server in others)]


def tftp_argv(root: Path) -> list[str]:
    """The command line of in.tftpd: port bound as root, files read as nobody, inside the tree."""
    return [
        "in.tftpd",
        *("--listen", "--foreground", "--ipv4"),
        *("--address", f"{plan.GATEWAY_IP}:69"),
        *("--user", "nobody"),
        *("--blocksize", str(TFTP_BLOCK_SIZE)),
        *("--verbosity", "4"),
        *("--secure", str(root)),
    ]


def tap_argv(command: Sequence[str]) -> list[str]:
    """The argument list that runs a command through `syslog_tap`, in a mount namespace of its own."""
    own_mounts = [find_program("unshare"), "--mount", "--propagation", "private"]
    return [*own_mounts, sys.executable, "-m", "kadeploy_lab.syslog_tap", *command]


def bmc_argv(directory: Path, node: LabNode) -> list[str]:
    """The command line of the BMC of one node."""
    return [sys.executable, "-m", "kadeploy_lab.bmc", str(directory), node.name]


def start(namespace: str, state: LabState, runtime: Path) -> None:
    """Starts every service and returns when all of them listen."""
    logs = _logs(state)
    dhcp = dhcp_argv(
        state.nodes,
        pid_file=runtime / "dnsmasq.pid",
        log=str(logs["DHCP server"]),
        ipv6=network.has_ipv6(),
        loaders=state.loaders,
    )
    dhcp[0] = find_program(dhcp[0])
    start_service(namespace, dhcp, logs["DHCP server"])
    start_service(namespace, tap_argv(tftp_argv(state.tftp_root)), logs["TFTP server"])
    for node in state.nodes:
        start_service(namespace, bmc_argv(state.directory, node), logs[f"BMC of {node.name}"])
    _wait(namespace, state, logs)


def missing(namespace: str, state: LabState) -> list[str]:
    """The services of a lab that do not listen."""
    open_ports = network.listening(namespace)
    return [service for service, port in _ports(state).items() if port not in open_ports]


def _wait(namespace: str, state: LabState, logs: dict[str, Path]) -> None:
    deadline = time.monotonic() + _START_SECONDS + len(state.nodes) * _SECONDS_PER_NODE
    while late := missing(namespace, state):
        if time.monotonic() > deadline:
            lines = logs[late[0]].read_text(errors="replace").strip().splitlines()
            said = f": it says '{lines[-1]}'" if lines else " and says nothing"
            raise LabError(f"The {late[0]} does not start{said} ({logs[late[0]]}).")
        time.sleep(0.1)


def _ports(state: LabState) -> dict[str, str]:
    """The UDP address on which each service shows that it is there."""
    return {
        "DHCP server": f"0.0.0.0%{plan.BRIDGE}:67",
        "TFTP server": f"{plan.GATEWAY_IP}:69",
    } | {f"BMC of {node.name}": f"{node.bmc_address}:623" for node in state.nodes}


def _logs(state: LabState) -> dict[str, Path]:
    return {
        "DHCP server": state.directory / "dnsmasq.log",
        "TFTP server": state.directory / "tftpd.log",
    } | {f"BMC of {node.name}": node.serial_log.with_name("bmc.log") for node in state.nodes}
