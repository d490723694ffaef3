"""Reading what machines are made of: of nodes, and of machines at the addresses of a network."""

import asyncio
import json
from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any, Final

from kadeploy_deployer.domain.control_errors import InvalidControl, NodeNotFound, NodeUnreachable
from kadeploy_deployer.domain.machine import Machine, NetworkCard
from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.nodes.command_result import last_words
from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.ports import RemoteShell, ShellError, ShellHost
from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_deployer.requests.node_access import ControlParts, allowed_nodes
from kadeploy_deployer.steps.find_disk import NO_SUCH_PROGRAM, PROGRAM, disks_of
from kadeploy_edge.errors import DomainError

INSPECT_SECONDS: Final = 90.0
LOGIN_SECONDS: Final = 40.0
"""At an address of which nobody knows whether a machine is there."""
AT_ONCE: Final = 128
MOST_ADDRESSES: Final = 1024
LARGEST_TEXT: Final = 1000


Inspected = tuple[Machine, NodeSnapshot]
"""What a node is made of, and what the inventory says of it."""


async def inspect_nodes(nodes: str, *, actor: Actor, parts: ControlParts) -> Mapping[str, Inspected | DomainError]:
    """Returns of each node what it is made of, beside what the inventory says; or why nobody knows.

    Nothing is changed, so no lock is taken.

    Raises:
        InvalidNodeSet, RightMissing: see `node_access.allowed_nodes`.
    """
    allowed = await allowed_nodes(nodes, actor=actor, inventory=parts.inventory, to="inspect")
    found: dict[str, tuple[Machine, NodeSnapshot] | DomainError] = {
        node: NodeNotFound(node) for node in allowed.unknown
    }
    at_once = asyncio.Semaphore(AT_ONCE)

    async def look(name: str) -> None:
        node = allowed.nodes[name]
        host = ShellHost(name=name, address=node.ip_address, host_keys=parts.deployment_host_keys)
        async with at_once:
            try:
                found[name] = await _read(parts.ports.shell, host, timeout=INSPECT_SECONDS), node
            except (ShellError, NodeFailed) as error:
                found[name] = NodeUnreachable(
                    f"{name} does not run the deployment environment: {str(error).removeprefix(f'{name} ')}",
                    metadata={"node": name},
                )

    async with asyncio.TaskGroup() as looks:
        for name in allowed.nodes:
            looks.create_task(look(name))
    return found


async def discover_machines(network: str, *, parts: ControlParts) -> tuple[Machine, ...]:
    """Returns the machines of a network that prove the deployment environment's host key, by address.

    Raises:
        InvalidControl: the text is no network, or it is too large.
    """
    try:
        wanted = IPv4Network(network)
    except ValueError as error:
        raise InvalidControl("network", f"must be an IPv4 network such as 10.0.0.0/24: {error}") from None
    if wanted.num_addresses > MOST_ADDRESSES:
        raise InvalidControl(
            "network", f"has {wanted.num_addresses} addresses; {MOST_ADDRESSES} can be asked in one call"
        )
    at_once = asyncio.Semaphore(AT_ONCE)
    found: dict[int, Machine] = {}

    async def look(place: int, address: str) -> None:
        host = ShellHost(name=address, address=address, host_keys=parts.deployment_host_keys)
        async with at_once:
            try:
                found[place] = await _read(parts.ports.shell, host, timeout=LOGIN_SECONDS)
            except (ShellError, NodeFailed):
                # Nobody is there, or somebody else: that is what most addresses are.
                return
            finally:
                await parts.ports.shell.forget(host)

    async with asyncio.TaskGroup() as looks:
        for place, address in enumerate(wanted.hosts()):
            looks.create_task(look(place, str(address)))
    return tuple(found[place] for place in sorted(found))


async def _read(shell: RemoteShell, host: ShellHost, *, timeout: float) -> Machine:
    result = await shell.run(host, (PROGRAM, "machine"), timeout=timeout)
    if result.exit_status == NO_SUCH_PROGRAM:
        raise NodeFailed(f"its deployment environment has no {PROGRAM}; build it anew")
    if result.exit_status:
        raise NodeFailed(f"{PROGRAM} failed: {last_words(result)}")
    return read_machine(result.stdout, address=host.address)


def read_machine(text: str, *, address: str) -> Machine:
    """Returns the machine that a node describes. Raises NodeFailed if the text describes none."""
    try:
        said: Any = json.loads(text)
        return Machine(
            address=address,
            boot_id=_text(said["boot_id"]),
            booted_as=_text(said["node"]),
            uuid=_text(said["uuid"]),
            vendor=_text(said["vendor"]),
            product=_text(said["product"]),
            serial=_text(said["serial"]),
            firmware=_text(said["firmware"]),
            memory_bytes=int(said["memory_bytes"]),
            processors=int(said["processors"]),
            sockets=int(said["sockets"]),
            processor_model=_text(said["processor_model"]),
            console=_text(said["console"]),
            controller_address=_text(said["controller_address"]),
            cards=tuple(
                NetworkCard(
                    name=_text(card["name"]),
                    mac_address=_text(card["mac_address"]),
                    driver=_text(card["driver"]),
                    path=_text(card["path"]),
                    is_boot_card=bool(card["is_boot_card"]),
                )
                for card in said["cards"]
            ),
            disks=disks_of(said["disks"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NodeFailed(f"its description makes no sense: {text[:100]!r}") from error


def _text(value: Any) -> str:
    return "".join(letter for letter in str(value) if letter.isprintable())[:LARGEST_TEXT]
