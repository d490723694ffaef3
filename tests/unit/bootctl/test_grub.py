"""Whole GRUB files against golden ones. `KADEPLOY_GOLDEN=rewrite` in the environment writes them anew."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from kadeploy_bootctl.domain.boot_entry import Firmware, file_names
from kadeploy_bootctl.domain.boot_target import ChainloadTarget, CustomTarget, GrubDiskTarget, NetworkTarget
from kadeploy_bootctl.domain.errors import InvalidBootEntry
from kadeploy_bootctl.domain.grub_image import is_image_name, mentioned_in
from kadeploy_bootctl.render import grub
from kadeploy_bootctl.render.loader_file import image_of, render
from kadeploy_bootctl.render.site import MARK
from tests.unit.bootctl.test_pxelinux import CASES, KERNEL, SITE, entry

GOLDEN = Path(__file__).parents[2] / "golden" / "bootctl" / "grub"
DISK = GrubDiskTarget(
    device="sda", partition=3, kernel_path="/vmlinuz", initrd_path="/initrd.img", arguments="ro quiet"
)


def assert_golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("KADEPLOY_GOLDEN") == "rewrite":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    assert text == path.read_text(encoding="ascii")


@pytest.mark.parametrize("name", CASES)
def test_a_target_is_rendered_for_uefi_as_its_golden_file(name: str) -> None:
    target, site = CASES[name]
    text = render(entry(target, firmware=Firmware.UEFI), site)
    assert_golden(f"{name}.cfg", text)
    assert text.startswith(MARK)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_the_default_file_and_what_stands_inside_the_images_are_golden() -> None:
    assert_golden("default.cfg", grub.render_default(SITE))
    assert_golden("default-unknown-machines.cfg", grub.render_default(replace(SITE, unknown_machines="deploy")))
    assert_golden("inside-network-image", grub.embedded_configuration("pxelinux.cfg"))
    assert_golden("inside-disk-image", grub.image_for(DISK).configuration)


def test_every_golden_file_has_a_case() -> None:
    inside = {"inside-network-image", "inside-disk-image"}
    assert {path.name for path in GOLDEN.iterdir()} == {
        f"{name}.cfg" for name in (*CASES, "default", "default-unknown-machines")
    } | inside


def test_a_node_with_uefi_has_the_names_that_grub_asks_for() -> None:
    node = entry(DISK, firmware=Firmware.UEFI).node
    assert file_names(node) == ("grub.cfg-01-52-54-00-00-00-01", "grub.cfg-C0A80001")


def test_a_bios_node_s_file_names_the_image_that_its_entry_needs() -> None:
    bios = entry(DISK)
    image = image_of(bios)
    assert image is not None
    assert is_image_name(image.name)
    assert mentioned_in(render(bios, SITE)) == {image.name}
    assert image_of(entry(DISK, firmware=Firmware.UEFI)) is None
    assert image_of(entry(ChainloadTarget(disk=0))) is None


@pytest.mark.parametrize(
    ("device", "disk"),
    [("sda", 0), ("vdb", 1), ("hdd", 3), ("xvda", 0), ("nvme0n1", 0), ("nvme12n1", 12), ("mmcblk1", 1)],
)
def test_a_disk_s_name_tells_its_place_in_the_firmware_s_order(device: str, disk: int) -> None:
    assert GrubDiskTarget(device=device, partition=1, kernel_path="/vmlinuz").disk == disk


@pytest.mark.parametrize("device", ["", "sda1", "md0", "../sda", "sdaa", "nvme0n2", "sda\n"])
def test_another_name_is_refused(device: str) -> None:
    with pytest.raises(InvalidBootEntry, match="device"):
        GrubDiskTarget(device=device, partition=1, kernel_path="/vmlinuz")


@pytest.mark.parametrize(
    "path", ["vmlinuz", "", "/", "/boot/../vmlinuz", "/..", "/a b", "/a;b", "/$a", "/a'", "/a\n", "/" + "x" * 600]
)
def test_a_path_that_grub_would_read_otherwise_is_refused(path: str) -> None:
    with pytest.raises(InvalidBootEntry, match="kernel_path"):
        GrubDiskTarget(device="sda", partition=1, kernel_path=path)


def line_of(arguments: str) -> str:
    text = render(entry(NetworkTarget(kernel_digest=KERNEL, arguments=arguments), firmware=Firmware.UEFI), SITE)
    return next(line for line in text.splitlines() if line.startswith("linux"))


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        ("root=/dev/sda3 ro", "root=/dev/sda3 ro"),
        ("a=$b;reboot", "'a=$b;reboot'"),
        ('dyndbg="file a.c +p" quiet', "'dyndbg=file a.c +p' quiet"),
        ("x={1} # y", "'x={1}' '#' y"),
    ],
)
def test_arguments_come_to_the_kernel_as_they_are(arguments: str, written: str) -> None:
    assert f" {written} BOOTIF=" in line_of(arguments)


@pytest.mark.parametrize("arguments", ["a=\\b", "a='b'", 'a="b'])
def test_arguments_that_grub_would_change_are_refused(arguments: str) -> None:
    with pytest.raises(InvalidBootEntry, match=r"network\.arguments"):
        line_of(arguments)


def test_a_command_line_that_is_too_long_is_refused() -> None:
    with pytest.raises(InvalidBootEntry, match="2047"):
        line_of("x" * 2000)


def test_a_custom_text_reaches_the_files_of_its_repository() -> None:
    target = CustomTarget(text="linux FILES_PREFIX/mine-NODE_SINGULARITY")
    text = render(entry(target, firmware=Firmware.UEFI), SITE)
    assert "linux ${kadeploy_repository}/images_grub/mine-C0A80001\n" in text
