"""Entries check themselves; names are those that pxelinux asks for."""

import ipaddress
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadeploy_bootctl.domain.boot_entry import BootEntry, BootNode, file_names
from kadeploy_bootctl.domain.boot_target import (
    BootTarget,
    ChainloadTarget,
    CustomTarget,
    LabelTarget,
    LocalDiskTarget,
    MultibootModule,
    MultibootTarget,
    NetworkTarget,
    files_of,
)
from kadeploy_bootctl.domain.errors import InvalidBootEntry

KERNEL = "sha256:" + "a" * 64
INITRD = "sha256:" + "b" * 64


def node(name: str = "n1", mac: str = "52:54:00:aa:bb:01", ip: str = "192.168.0.1") -> BootNode:
    return BootNode(name=name, mac_address=mac, ip_address=ip)


def field_at_fault(error: pytest.ExceptionInfo[InvalidBootEntry]) -> str:
    return error.value.violations[0].field


def test_the_names_are_mac_with_arp_type_and_ip_in_upper_case_hexadecimal() -> None:
    assert file_names(node()) == ("01-52-54-00-aa-bb-01", "C0A80001")


@given(st.integers(1, 2**32 - 2), st.binary(min_size=6, max_size=6))
def test_every_machine_has_names_of_a_fixed_shape(address: int, mac: bytes) -> None:
    ip = ipaddress.IPv4Address(address)
    if ip.is_multicast or ip.is_loopback or mac[0] & 1 or not any(mac):
        return
    hardware, by_address = file_names(node(mac=mac.hex(":"), ip=str(ip)))
    assert bytes.fromhex(hardware.removeprefix("01-").replace("-", "")) == mac
    assert (len(by_address), int(by_address, 16), by_address.upper()) == (8, address, by_address)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../etc", ".hidden", "a b", "n1\n", "-n", "n-", "a" * 254, "é"])
def test_a_name_that_is_no_host_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidBootEntry) as error:
        node(name=name)
    assert field_at_fault(error) == "node.name"


@pytest.mark.parametrize(
    "mac", ["", "52:54:00:AA:BB:01", "52-54-00-aa-bb-01", "52:54:00:aa:bb", "01:00:5e:00:00:01", "00:00:00:00:00:00"]
)
def test_a_mac_address_that_is_not_of_one_card_is_refused(mac: str) -> None:
    with pytest.raises(InvalidBootEntry) as error:
        node(mac=mac)
    assert field_at_fault(error) == "node.mac_address"


@pytest.mark.parametrize("ip", ["", "192.168.0", "192.168.0.01", "fe80::1", "0.0.0.0", "224.0.0.1", "127.0.0.1", "a.b"])
def test_an_ip_address_that_is_not_of_one_machine_is_refused(ip: str) -> None:
    with pytest.raises(InvalidBootEntry) as error:
        node(ip=ip)
    assert field_at_fault(error) == "node.ip_address"


@pytest.mark.parametrize("owner", ["x\ny", "x\0", "x" * 201])
def test_an_owner_that_would_break_the_comment_is_refused(owner: str) -> None:
    with pytest.raises(InvalidBootEntry) as error:
        BootEntry(node=node(), target=LocalDiskTarget(), owner=owner)
    assert field_at_fault(error) == "owner"


@pytest.mark.parametrize(
    "text", ["a\nb", "a\rb", "a\0b", "a\tb", "a\x7fb", "ä", " a", "a ", "x" * 2048, "quiet initrd=x"]
)
def test_arguments_that_a_loader_would_misread_are_refused(text: str) -> None:
    with pytest.raises(InvalidBootEntry) as error:
        NetworkTarget(kernel_digest=KERNEL, arguments=text)
    assert field_at_fault(error) == "target.network.arguments"
    with pytest.raises(InvalidBootEntry):
        LabelTarget(label="deploy", arguments=text)


@given(st.text())
def test_accepted_arguments_are_always_one_printable_line(text: str) -> None:
    try:
        NetworkTarget(kernel_digest=KERNEL, arguments=text)
    except InvalidBootEntry:
        return
    assert set(text) <= set(string.printable) - set("\t\n\r\x0b\x0c")


@pytest.mark.parametrize("digest", ["", "a" * 64, "sha256:" + "A" * 64, "sha256:../../etc/passwd", KERNEL + "\n"])
def test_a_kernel_that_is_no_digest_is_refused(digest: str) -> None:
    with pytest.raises(InvalidBootEntry) as error:
        NetworkTarget(kernel_digest=digest)
    assert field_at_fault(error) == "target.network.kernel_digest"


def test_the_module_at_fault_is_named() -> None:
    modules = (MultibootModule(digest=INITRD), MultibootModule(digest=INITRD, arguments="a --- b"))
    with pytest.raises(InvalidBootEntry) as error:
        MultibootTarget(hypervisor_digest=KERNEL, modules=modules)
    assert field_at_fault(error) == "target.multiboot.modules[1].arguments"


@pytest.mark.parametrize(("disk", "partition"), [(-1, 0), (128, 0), (0, -1), (0, 256)])
def test_a_disk_or_partition_that_cannot_be_is_refused(disk: int, partition: int) -> None:
    with pytest.raises(InvalidBootEntry):
        ChainloadTarget(disk=disk, partition=partition)


@pytest.mark.parametrize("text", ["", " \n", "a\0", "a\r\n", "x" * 4095])
def test_a_custom_text_that_a_loader_would_misread_is_refused(text: str) -> None:
    with pytest.raises(InvalidBootEntry):
        CustomTarget(text=text)


@pytest.mark.parametrize(
    ("target", "digests"),
    [
        (LocalDiskTarget(), set()),
        (NetworkTarget(kernel_digest=KERNEL), {KERNEL}),
        (NetworkTarget(kernel_digest=KERNEL, initrd_digest=INITRD), {KERNEL, INITRD}),
        (MultibootTarget(hypervisor_digest=KERNEL, modules=(MultibootModule(digest=INITRD),)), {KERNEL, INITRD}),
        (CustomTarget(text=f"KERNEL FILES_PREFIX/sha256-{'b' * 64}\n"), {INITRD}),
        (CustomTarget(text=f"KERNEL FILES_PREFIX/sha256-{'b' * 65}\n"), set()),
    ],
)
def test_a_target_tells_the_files_that_it_needs(target: BootTarget, digests: set[str]) -> None:
    assert files_of(target) == digests
