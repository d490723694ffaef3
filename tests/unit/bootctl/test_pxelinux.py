"""Whole pxelinux files against golden ones. `KADEPLOY_GOLDEN=rewrite` in the environment writes them anew."""

import dataclasses
import os
from pathlib import Path

import pytest

from kadeploy_bootctl.domain.boot_entry import BootEntry, BootNode, Firmware
from kadeploy_bootctl.domain.boot_target import (
    BootTarget,
    ChainloadTarget,
    CustomTarget,
    GrubDiskTarget,
    LabelTarget,
    LocalDiskTarget,
    MultibootModule,
    MultibootTarget,
    NetworkTarget,
)
from kadeploy_bootctl.domain.errors import InvalidBootEntry, LabelNotFound
from kadeploy_bootctl.domain.label import KernelLabel
from kadeploy_bootctl.render import boot_template, grub, pxelinux
from kadeploy_bootctl.render.pxelinux import render, render_default
from kadeploy_bootctl.render.site import MARK, Site

GOLDEN = Path(__file__).parents[2] / "golden" / "bootctl" / "pxelinux"

KERNEL = "sha256:" + "a" * 64
INITRD = "sha256:" + "b" * 64
MODULE = "sha256:" + "c" * 64

NODE = BootNode(name="node-1", mac_address="52:54:00:00:00:01", ip_address="192.168.0.1")
DEPLOY = KernelLabel(name="deploy", kernel="deploy-vmlinuz", initrd="deploy-initrd", arguments="console=ttyS0,115200")
BARE = KernelLabel(name="bare", kernel="bare-vmlinuz", initrd="", arguments="")
SITE = Site(files_path="images_grub", labels={"deploy": DEPLOY, "bare": BARE})
WITH_HTTP = dataclasses.replace(SITE, http_url="http://192.168.0.254/tftp/PXEClient")
WITH_SERIAL = dataclasses.replace(SITE, serial="0 115200")

CASES: dict[str, tuple[BootTarget, Site]] = {
    "label": (LabelTarget(label="deploy", arguments="kadeploy.token=17"), SITE),
    "label-serial": (LabelTarget(label="deploy"), WITH_SERIAL),
    "label-without-initrd": (LabelTarget(label="bare"), SITE),
    "network": (
        NetworkTarget(kernel_digest=KERNEL, initrd_digest=INITRD, arguments="root=/dev/vda3 rw console=ttyS0,115200"),
        WITH_SERIAL,
    ),
    "network-without-initrd": (NetworkTarget(kernel_digest=KERNEL, arguments="root=/dev/vda3 ro"), SITE),
    "chainload-partition": (ChainloadTarget(disk=0, partition=3), SITE),
    "chainload-disk": (ChainloadTarget(disk=1), SITE),
    "local-disk": (LocalDiskTarget(), WITH_SERIAL),
    "multiboot": (
        MultibootTarget(
            hypervisor_digest=KERNEL,
            hypervisor_arguments="dom0_mem=512M com1=115200",
            modules=(MultibootModule(digest=INITRD, arguments="root=/dev/sda3 ro"), MultibootModule(digest=MODULE)),
        ),
        SITE,
    ),
    "network-http": (NetworkTarget(kernel_digest=KERNEL, initrd_digest=INITRD, arguments="ro"), WITH_HTTP),
    "grub-disk": (
        GrubDiskTarget(device="sda", partition=3, kernel_path="/vmlinuz", initrd_path="/initrd.img", arguments="ro"),
        SITE,
    ),
    "custom": (
        CustomTarget(text="DEFAULT x\nLABEL x\n\tKERNEL FILES_PREFIX/mine-NODE_SINGULARITY\n\tAPPEND quiet\n\n"),
        SITE,
    ),
}


def entry(target: BootTarget, *, firmware: Firmware = Firmware.BIOS, owner: str = "deployment 12") -> BootEntry:
    return BootEntry(node=dataclasses.replace(NODE, firmware=firmware), target=target, owner=owner)


def assert_golden(name: str, text: str) -> None:
    path = GOLDEN / f"{name}.cfg"
    if os.environ.get("KADEPLOY_GOLDEN") == "rewrite":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    assert text == path.read_text(encoding="ascii")


@pytest.mark.parametrize("name", CASES)
def test_a_target_is_rendered_as_its_golden_file(name: str) -> None:
    target, site = CASES[name]
    assert_golden(name, render(entry(target), site))


def test_the_default_file_is_its_golden_file() -> None:
    assert_golden("default", render_default(WITH_SERIAL))
    assert_golden("default-unknown-machines", render_default(dataclasses.replace(SITE, unknown_machines="deploy")))


def test_every_golden_file_has_a_case() -> None:
    assert {path.stem for path in GOLDEN.glob("*.cfg")} == {*CASES, "default", "default-unknown-machines"}


@pytest.mark.parametrize("name", CASES)
def test_a_rendered_file_begins_with_our_mark_and_ends_with_one_newline(name: str) -> None:
    target, site = CASES[name]
    text = render(entry(target, owner=""), site)
    assert text.startswith(MARK)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


@pytest.mark.parametrize(
    ("template", "values"),
    [
        ("entry.tmpl", pxelinux.EntryText),
        ("linux.tmpl", pxelinux.LinuxText),
        ("program.tmpl", pxelinux.ProgramText),
        ("image.tmpl", pxelinux.ImageText),
        ("grub_entry.tmpl", grub.EntryText),
        ("grub_boot.tmpl", grub.BootText),
        ("custom.tmpl", pxelinux.CustomText),
        ("local_disk.tmpl", pxelinux.NoText),
    ],
)
def test_the_gaps_of_a_template_are_the_fields_of_its_values(template: str, values: type) -> None:
    gaps = set(boot_template.load(template).get_identifiers())
    assert gaps == {field.name for field in dataclasses.fields(values)}


def test_a_label_that_the_settings_do_not_know_is_not_found() -> None:
    with pytest.raises(LabelNotFound, match="bare, deploy"):
        render(entry(LabelTarget(label="other")), SITE)


def command_line(arguments: str) -> str:
    """What the kernel gets from pxelinux for a network target without initrd."""
    return f"BOOT_IMAGE=images_grub/sha256-{'a' * 64} {arguments} BOOTIF=01-52-54-00-00-00-01"


def test_a_command_line_of_2047_characters_is_the_longest() -> None:
    longest = 2047 - len(command_line(""))
    render(entry(NetworkTarget(kernel_digest=KERNEL, arguments="x" * longest)), SITE)
    with pytest.raises(InvalidBootEntry, match="2048 characters"):
        render(entry(NetworkTarget(kernel_digest=KERNEL, arguments="x" * (longest + 1))), SITE)


def test_modules_that_make_too_long_a_line_are_refused() -> None:
    module = MultibootModule(digest=MODULE, arguments="x" * 1000)
    target = MultibootTarget(hypervisor_digest=KERNEL, modules=(module,) * 4)
    with pytest.raises(InvalidBootEntry, match="4094"):
        render(entry(target), SITE)


def test_a_custom_line_that_grows_too_long_by_its_replacements_is_refused() -> None:
    target = CustomTarget(text="# " + "x" * 4050 + " NODE_SINGULARITY FILES_PREFIX")
    with pytest.raises(InvalidBootEntry, match="4094"):
        render(entry(target), dataclasses.replace(SITE, files_path="a/long/way/down/the/tree/images_grub"))
