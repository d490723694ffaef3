"""The command lines of QEMU and the lab's daemons."""

from pathlib import Path

from kadeploy_lab import network, plan, services
from kadeploy_lab.accelerator import Accelerator
from kadeploy_lab.machine import machine_argv, machine_spec

NODES = plan.plan_nodes("demo", Path("/srv/lab"), 2)
TCG = Accelerator(name="tcg", reason="for the test")
RUN = plan.run_directory("demo", Path("/srv/lab"))
DRIVE = "file=/srv/lab/nodes/node-1/disk.img,format=raw,if=none,id=disk0,cache=unsafe,discard=unmap"
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
        *("-device", "virtio-net-pci,netdev=net0,mac=52:54:00:4b:00:01,bootindex=1"),
        *(
            "-drive",
            "file=/srv/lab/nodes/node-1/disk.img,format=raw,if=none,id=disk0,cache=unsafe,discard=unmap",
        ),
        *("-device", "virtio-blk-pci,drive=disk0,bootindex=2"),
        *("-device", "virtio-rng-pci"),
        *("-chardev", CHARDEV),
        *("-serial", "chardev:serial0"),
        *("-qmp", f"unix:{RUN}/node-1.qmp,server=on,wait=off"),
        *("-pidfile", f"{RUN}/node-1.pid"),
    ]


def test_a_machine_told_to_boot_from_disk_tries_its_disk_first() -> None:
    spec = machine_spec(NODES[0], index=1, memory_mib=768, accelerator=TCG)

    argv = machine_argv(spec, disk_first=True)

    assert "virtio-blk-pci,drive=disk0,bootindex=1" in argv
    assert "virtio-net-pci,netdev=net0,mac=52:54:00:4b:00:01,bootindex=2" in argv


def test_kvm_runs_the_guest_on_the_host_processor() -> None:
    kvm = Accelerator(name="kvm", reason="for the test")

    assert kvm.arguments == ("-accel", "kvm", "-cpu", "host")


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
