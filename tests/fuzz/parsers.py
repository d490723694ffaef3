"""What is fuzzed: each parser with texts that it accepts, its share of the inputs, and the errors that it may raise."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from kadeploy_bootctl.domain import digest as boot_digest
from kadeploy_bootctl.domain import node_set as boot_node_set
from kadeploy_bootctl.domain import texts as boot_texts
from kadeploy_bootctl.logs.leases import LeaseReader
from kadeploy_bootctl.logs.recognition import make_reader
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.terminal.failures import UsageFailure
from kadeploy_deployer.domain import node_set as deployer_node_set
from kadeploy_edge import page_token
from kadeploy_edge.errors import Invalid
from kadeploy_inventory.domain import addresses, bmc_pattern, command_template, names, texts
from kadeploy_inventory.domain import node_set as inventory_node_set
from kadeploy_nodeset import NodeSetError, expand, fold
from tests.unit.cli.test_fuzzed_descriptions import PARSERS as DESCRIPTIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Parser:
    """One parser.

    Attributes:
        read: reads a text.
        seeds: texts that it accepts.
        share: how many inputs it gets beside others. YAML takes a hundred times as long as a MAC address.
        refusals: how it says that a text is not accepted. Any other error is a fault.
    """

    read: Callable[[str], object]
    seeds: tuple[str, ...]
    share: int
    refusals: tuple[type[Exception], ...] = (ValueError,)


NODE_SETS = (
    "node-[1-16,20]",
    "n[001-128],gpu-1",
    "rack[1-4]-n[1-8/2]x[1-2]",
    "n[1-9]!n[4-5]&n[1-7]^n3",
    "a1,a2,a3,b-1.example.org",
    "[1-3].example.org",
)


def fold_and_expand(text: str) -> object:
    """Reads a set, and finds its names in the folded one."""
    names = expand(text, most=10_000)
    folded = fold(names)
    if expand(folded) != names:
        message = f"{folded!r} has other names than {text!r}"
        raise AssertionError(message)
    return folded


def custom_text(text: str) -> object:
    boot_texts.check_custom_text("text", text)
    return text


def arguments(text: str) -> object:
    boot_texts.check_arguments("arguments", text)
    return text


def log_lines(text: str) -> object:
    """Reads a log of a boot server; one that says nothing counts as refused."""
    read, leases = make_reader("log", now=datetime(2026, 11, 28, tzinfo=UTC)), LeaseReader("leases")
    found = [record for line in text.splitlines() if (record := read(line) or leases.read(line)) is not None]
    if not found:
        raise ValueError
    return found


TOKEN = page_token.encode(["debian", "alice", 3], binding="environments")

PARSERS: dict[str, Parser] = {
    "node set, folded and read again": Parser(
        read=fold_and_expand, seeds=NODE_SETS, share=16, refusals=(NodeSetError,)
    ),
    "node set of the inventory": Parser(read=inventory_node_set.expand, seeds=NODE_SETS, share=8, refusals=(Invalid,)),
    "node set of the deployer": Parser(read=deployer_node_set.expand, seeds=NODE_SETS, share=8, refusals=(Invalid,)),
    "node set of bootctl": Parser(read=boot_node_set.expand, seeds=NODE_SETS, share=8, refusals=(Invalid,)),
    "node set of a command": Parser(
        read=lambda text: node_names.parse(text, "-m"), seeds=NODE_SETS, share=8, refusals=(UsageFailure,)
    ),
    "MAC address": Parser(read=addresses.parse_mac_address, seeds=("52:54:00:12:34:01",), share=8),
    "IP address": Parser(read=addresses.parse_ip_address, seeds=("192.168.10.1",), share=4),
    "address of a controller": Parser(
        read=addresses.parse_controller_address, seeds=("n1-bmc.site", "10.0.0.1"), share=4
    ),
    "UUID": Parser(read=addresses.parse_machine_uuid, seeds=("b8945908-d6a6-41a9-611d-74a6ab80b83d",), share=4),
    "partition's word": Parser(read=names.parse_partition_word, seeds=("sda3", "nvme0n1p3", "*"), share=4),
    "URI": Parser(read=texts.parse_uri, seeds=("file:///srv/a.tar.zst", "https://host:8080/a?b#c"), share=4),
    "path in an image": Parser(read=texts.parse_image_path, seeds=("/boot/vmlinuz",), share=2),
    "argument of a command": Parser(
        read=command_template.parse_argument, seeds=("ssh", "{bmc}", "-f{label:rack}x"), share=4
    ),
    "pattern of controllers": Parser(
        read=bmc_pattern.parse_pattern, seeds=("{node_short}-bmc.{domain}:623", "{name}.{cluster}"), share=2
    ),
    "page token": Parser(
        read=lambda text: page_token.decode(text, binding="environments"), seeds=(TOKEN,), share=4, refusals=(Invalid,)
    ),
    "digest": Parser(read=boot_digest.parse, seeds=("sha256:" + "ab" * 32,), share=2, refusals=(Invalid,)),
    "kernel arguments": Parser(read=arguments, seeds=("console=ttyS0 root=/dev/sda3",), share=2, refusals=(Invalid,)),
    "custom text": Parser(read=custom_text, seeds=("DEFAULT x\nLABEL x\n KERNEL y\n",), share=2, refusals=(Invalid,)),
    "log of a boot server": Parser(
        read=log_lines,
        seeds=(
            "2026-11-28T23:00:01.5+00:00 boot dnsmasq-dhcp[7]: 1 DHCPOFFER(eth0) 10.77.0.11 52:54:00:12:34:01",
            "Nov 28 23:00:01 boot in.tftpd[9]: RRQ from 10.77.0.11 filename PXEClient/pxelinux.0",
            '10.77.0.11 - - [28/Nov/2026:23:00:01 +0000] "GET /tftp/a HTTP/1.0" 404 12',
            "lease 10.77.0.11 {\n  starts 6 2026/11/28 23:00:01;\n  hardware ethernet 52:54:00:12:34:01;\n}",
        ),
        share=4,
    ),
    **{
        name: Parser(
            read=read, seeds=(example,), share=1 if "YAML" in name or "profile" in name else 4, refusals=(UsageFailure,)
        )
        for name, (read, example) in DESCRIPTIONS.items()
    },
}
