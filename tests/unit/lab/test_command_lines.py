"""The command lines of QEMU and the lab's daemons."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from kadeploy_lab import LabError, network, plan, services
from kadeploy_lab.accelerator import Accelerator
from kadeploy_lab.hardware import Hardware, disk_arguments
from kadeploy_lab.machine import machine_argv, machine_spec

NODES = plan.plan_nodes("demo", Path("/srv/lab"), 2)
TCG = Accelerator(name="tcg", reason="for the test")
RUN = plan.run_directory("demo", Path("/srv/lab"))
DRIVE = "file=/srv/lab/nodes/node-1/disk.img,format=raw,if=none,id=disk0-image,cache=unsafe,discard=unmap"
CHARDEV = (
    f"socket,id=serial0,path={RUN}/node-1.serial,server=on,wait=off,"
    "logfile=/srv/lab/nodes/node-1/serial.log,logappend=on"
)


def test_a_machine_boots_from_its_network_card_and_logs_its_serial_port() -> None:
    spec = machine_spec(NODES[0], index=1, memory_mib=768, accelerator=TCG)

    assert machine_argv(spec) == [
        "qemu-system-x86_64",
        *("-name", "node-1"),
        *("-uuid", "6b61646c-6162-4b61-8000-5254004b0001"),
        "-nodefaults",
        *("-machine", "pc,graphics=off"),
        *("-accel", "tcg,thread=multi,tb-size=64"),
        *("-cpu", "max"),
        *("-m", "768"),
        *("-smp", "1"),
        *("-display", "none"),
        *("-netdev", "tap,id=net0,ifname=tap1,script=no,downscript=no"),
        *("-device", "virtio-net-pci,id=card0,netdev=net0,mac=52:54:00:4b:00:01,bootindex=1"),
        *(
            "-drive",
            "file=/srv/lab/nodes/node-1/disk.img,format=raw,if=none,id=disk0-image,cache=unsafe,discard=unmap",
        ),
        *("-device", "virtio-blk-pci,serial=kalab0,id=disk0,drive=disk0-image,bootindex=2"),
        *("-device", "virtio-rng-pci"),
        *("-chardev", CHARDEV),
        *("-serial", "chardev:serial0"),
        *("-qmp", f"unix:{RUN}/node-1.qmp,server=on,wait=off"),
        *("-pidfile", f"{RUN}/node-1.pid"),
    ]


def test_a_machine_told_to_boot_from_disk_tries_its_disk_first() -> None:
    spec = machine_spec(NODES[0], index=1, memory_mib=768, accelerator=TCG)

    argv = machine_argv(spec, first="disk")

    assert "virtio-blk-pci,serial=kalab0,id=disk0,drive=disk0-image,bootindex=0" in argv
    assert "virtio-net-pci,id=card0,netdev=net0,mac=52:54:00:4b:00:01,bootindex=1" in argv


def devices(hardware: Hardware, firmware: str = "bios", *, first: str = "") -> list[str]:
    """Returns the devices of a machine that is built like this, but for what every machine has."""
    (node,) = plan.plan_nodes("demo", Path("/srv/lab"), 1, firmware={"node-1": firmware}, hardware={"node-1": hardware})
    argv = machine_argv(machine_spec(node, index=1, memory_mib=768, accelerator=TCG), first=first)
    return [value for word, value in pairwise(argv) if word == "-device" and value != "virtio-rng-pci"]


def test_a_machine_boots_from_the_second_of_two_cards() -> None:
    assert devices(Hardware(cards=("e1000e", "e1000"), boot_card=1))[:2] == [
        "e1000e,id=other-card0,netdev=other0,mac=52:54:01:00:00:01",
        "e1000,id=card0,netdev=net0,mac=52:54:00:4b:00:01,bootindex=1",
    ]


@pytest.mark.parametrize(
    ("controller", "firmware", "expected"),
    [
        (
            "ahci",
            "bios",
            ["ahci,id=controller", "ide-hd,bus=controller.0,serial=kalab0,id=disk0,drive=disk0-image,bootindex=2"],
        ),
        ("ahci", "uefi", ["ide-hd,bus=ide.0,serial=kalab0,id=disk0,drive=disk0-image,bootindex=2"]),
        (
            "megasas-gen2",
            "bios",
            [
                "megasas-gen2,id=controller",
                "scsi-hd,bus=controller.0,scsi-id=0,serial=kalab0,id=disk0,drive=disk0-image,bootindex=2",
            ],
        ),
        ("nvme", "uefi", ["nvme,serial=kalab0,id=disk0,drive=disk0-image,bootindex=2"]),
    ],
)
def test_a_disk_hangs_on_its_controller(controller: str, firmware: str, expected: list[str]) -> None:
    assert devices(Hardware(controller=controller), firmware)[1:] == expected


def test_each_disk_has_a_file_of_its_own() -> None:
    (node,) = plan.plan_nodes("demo", Path("/srv/lab"), 1, hardware={"node-1": Hardware(disks=2)})
    assert [path.name for path in node.disks] == ["disk.img", "disk-2.img"]
    assert devices(Hardware(disks=2))[1:] == [
        "virtio-blk-pci,serial=kalab0,id=disk0,drive=disk0-image,bootindex=2",
        "virtio-blk-pci,serial=kalab1,id=disk1,drive=disk1-image,bootindex=3",
    ]


def test_a_machine_with_an_order_of_its_own_is_told_none_but_for_one_start() -> None:
    own = Hardware(own_boot_order=True)
    assert [device for device in devices(own, "uefi") if "bootindex" in device] == []
    assert [device.split(",")[0] for device in devices(own, "uefi", first="network") if "bootindex=0" in device] == [
        "virtio-net-pci"
    ]


@pytest.mark.parametrize(
    "parts",
    [
        {"cards": ("ne2000",)},
        {"controller": "floppy"},
        {"machine": "vax"},
        {"boot_card": 1},
        {"disks": 0},
        {"processors": 0},
    ],
)
def test_parts_that_the_lab_does_not_have_are_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(LabError, match="of the lab"):
        Hardware(**parts)


def test_kvm_runs_the_guest_on_the_host_processor() -> None:
    kvm = Accelerator(name="kvm", reason="for the test")

    assert kvm.arguments == ("-accel", "kvm", "-cpu", "host")


def test_a_machine_may_boot_from_another_tftp_server() -> None:
    nodes = plan.plan_nodes("demo", Path("/srv/lab"), 2, tftp_servers={"node-2": "172.31.0.11"})
    argv = services.dhcp_argv(nodes, pid_file=Path("/run/x/dnsmasq.pid"), ipv6=False)
    assert [word for word in argv if word.startswith(("--dhcp-host", "--dhcp-boot"))] == [
        "--dhcp-host=52:54:00:4b:00:01,172.31.0.11,node-1",
        "--dhcp-host=52:54:00:4b:00:02,set:172.31.0.11,172.31.0.12,node-2",
        "--dhcp-boot=tag:!172.31.0.11,tag:!uefi,PXEClient/pxelinux.0,,172.31.0.1",
        "--dhcp-boot=tag:!172.31.0.11,tag:uefi,PXEClient/grubx64.efi,,172.31.0.1",
        "--dhcp-boot=tag:172.31.0.11,tag:!uefi,PXEClient/pxelinux.0,,172.31.0.11",
        "--dhcp-boot=tag:172.31.0.11,tag:uefi,PXEClient/grubx64.efi,,172.31.0.11",
    ]


def test_dhcp_knows_every_node_and_no_other_machine() -> None:
    assert services.dhcp_argv(NODES, pid_file=Path("/run/x/dnsmasq.pid"), ipv6=True) == [
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--log-facility=-",
        "--log-dhcp",
        "--pid-file=/run/x/dnsmasq.pid",
        "--user=nobody",
        "--port=0",
        "--interface=br0",
        "--except-interface=lo",
        "--bind-interfaces",
        "--leasefile-ro",
        "--dhcp-authoritative",
        "--dhcp-range=172.31.0.0,static,255.255.255.0,1h",
        "--dhcp-host=52:54:00:4b:00:01,172.31.0.11,node-1",
        "--dhcp-host=52:54:00:4b:00:02,172.31.0.12,node-2",
        "--dhcp-match=set:uefi,option:client-arch,7",
        "--dhcp-match=set:uefi,option:client-arch,9",
        "--dhcp-boot=tag:!uefi,PXEClient/pxelinux.0,,172.31.0.1",
        "--dhcp-boot=tag:uefi,PXEClient/grubx64.efi,,172.31.0.1",
        "--dhcp-option-force=encap:175,176,1b",
        "--enable-ra",
        "--dhcp-range=fd31::,ra-only,64,1h",
    ]


def test_a_host_without_ipv6_gets_no_router_advertisement() -> None:
    argv = services.dhcp_argv(NODES, pid_file=Path("/run/x/dnsmasq.pid"), ipv6=False)

    assert not [argument for argument in argv if "fd31" in argument or "enable-ra" in argument]


def test_tftp_serves_as_nobody_and_only_its_own_tree() -> None:
    assert services.tftp_argv(Path("/srv/lab/tftp")) == [
        "in.tftpd",
        *("--listen", "--foreground", "--ipv4"),
        *("--address", "172.31.0.1:69"),
        *("--user", "nobody"),
        *("--blocksize", "1468"),
        *("--verbosity", "4"),
        *("--secure", "/srv/lab/tftp"),
    ]


def test_the_network_has_a_bridge_a_tap_and_a_bmc_address_per_node() -> None:
    assert network.layout(NODES[:1], ipv6=True) == [
        "link set lo up",
        "link add br0 address 52:54:00:4b:ff:01 type bridge stp_state 0 forward_delay 0",
        "addr add 172.31.0.1/24 dev br0",
        "addr add fd31::1/64 dev br0 nodad",
        "tuntap add tap1 mode tap",
        "link set tap1 addrgenmode none",
        "link set tap1 master br0 up",
        "addr add 172.31.1.11/32 dev lo",
        "link set br0 up",
    ]


def test_disks_that_swap_are_found_in_the_other_order_and_keep_their_serial_numbers() -> None:
    words = disk_arguments(
        Hardware(disks=2), ["a.img", "b.img"], on_q35=False, indexes={"disk0": 2, "disk1": 3}, swapped=True
    )
    assert [word for word in words if word.startswith("virtio")] == [
        "virtio-blk-pci,serial=kalab1,id=disk1,drive=disk1-image,bootindex=3",
        "virtio-blk-pci,serial=kalab0,id=disk0,drive=disk0-image,bootindex=2",
    ]
