"""Machines as messages."""

from kadeploy.deployer.v1 import machine_pb2
from kadeploy_deployer.domain.machine import Machine, differences, known_disks
from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.rpc.node_control_messages import DOMAIN
from kadeploy_edge.errors import DomainError
from kadeploy_edge.status import ok_status, to_status


def inspection(node: str, found: tuple[Machine, NodeSnapshot] | DomainError) -> machine_pb2.NodeInspection:
    """Returns what became of one node of an inspection."""
    if isinstance(found, DomainError):
        return machine_pb2.NodeInspection(node=node, status=to_status(found, domain=DOMAIN))
    machine, snapshot = found
    message = machine_message(machine)
    known = known_disks(machine, snapshot)
    for disk in message.disks:
        disk.device = known.get(disk.name, "")
    return machine_pb2.NodeInspection(
        node=node, status=ok_status(), machine=message, differences=differences(machine, snapshot)
    )


def machine_message(machine: Machine) -> machine_pb2.Machine:
    """Returns the message of a machine."""
    return machine_pb2.Machine(
        address=machine.address,
        uuid=machine.uuid,
        vendor=machine.vendor,
        product=machine.product,
        serial=machine.serial,
        firmware=machine.firmware,
        memory_bytes=machine.memory_bytes,
        processors=machine.processors,
        sockets=machine.sockets,
        processor_model=machine.processor_model,
        console=machine.console,
        controller_address=machine.controller_address,
        booted_as=machine.booted_as,
        cards=[
            machine_pb2.NetworkCard(
                name=card.name,
                mac_address=card.mac_address,
                driver=card.driver,
                path=card.path,
                is_boot_card=card.is_boot_card,
            )
            for card in machine.cards
        ],
        disks=[
            machine_pb2.MachineDisk(
                name=disk.name,
                size_bytes=disk.size_bytes,
                serial=disk.serial,
                wwn=disk.wwn,
                model=disk.model,
                transport=disk.transport,
                removable=disk.removable,
                links=disk.links,
            )
            for disk in machine.disks
        ],
    )
