"""GRUB with the real grub-mkimage: the loader of machines with UEFI, and images that boot BIOS machines from disk."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kadeploy.bootctl.v1 import boot_entry_pb2, bootctl_service_pb2
from kadeploy_bootctl import bootstrap
from kadeploy_bootctl.domain.grub_image import GrubImage
from kadeploy_bootctl.settings import Settings
from kadeploy_bootctl.tree.grub_images import TftpGrubImages
from kadeploy_bootctl.tree.grub_mkimage import GrubMkimage
from tests.integration.bootctl.conftest import age

pytestmark = pytest.mark.integration

UEFI = boot_entry_pb2.BOOT_FIRMWARE_UEFI


def grub_disk(**changes: Any) -> boot_entry_pb2.GrubDiskTarget:
    fields: dict[str, Any] = {"device": "vda", "partition": 3, "kernel_path": "/vmlinuz", "initrd_path": "/initrd.img"}
    return boot_entry_pb2.GrubDiskTarget(**fields | {"arguments": "root=/dev/vda3 ro"} | changes)


def images(place: Path) -> set[str]:
    return {path.name for path in (place / "images_grub").glob("grub-*.lkrn")}


def test_init_makes_the_loader_of_machines_with_uefi(laid_out: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for place in (laid_out.first, laid_out.second):
        assert (place / "grubx64.efi").read_bytes()[:2] == b"MZ"
        assert "exit\n" in (place / "pxelinux.cfg" / "grub.cfg").read_text()
    assert laid_out.run("init") == 0
    assert "grub" not in capsys.readouterr().out


def test_without_grub_init_says_what_machines_it_leaves_out(bed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    text = bed.settings_file.read_text()
    bed.settings_file.write_text(text + f'grub_directory = "{bed.directory}/nothing"\n')
    assert bed.run("init") == 0
    out = capsys.readouterr().out
    assert "machines with UEFI cannot boot" in out
    assert "apt-get install grub-efi-amd64-bin" in out
    assert bed.run("check") == 1
    assert "PXEClient/grubx64.efi: it is missing" in capsys.readouterr().out


def test_equal_entries_share_one_image_in_both_repositories(laid_out: Any, deployer: Any, make_entry: Any) -> None:
    results = deployer.set(
        make_entry(1, grub_disk=grub_disk()),
        make_entry(2, grub_disk=grub_disk()),
        make_entry(3, grub_disk=grub_disk(arguments="root=/dev/vda3 rw")),
    )
    assert [result.status.code for result in results] == [0, 0, 0]
    first = images(laid_out.first)
    assert len(first) == 2
    assert images(laid_out.second) == first
    files = laid_out.node_files()
    name = files["PXEClient/pxelinux.cfg/AC1F0001"].split("images_grub/")[1].split()[0]
    assert name in files["X86PC/linux/pxelinux.cfg/AC1F0002"]
    # What the real bootsector of a Linux kernel says where loaders look for it.
    assert (laid_out.first / "images_grub" / name).read_bytes()[0x202:0x206] == b"HdrS"


def test_rendering_an_entry_makes_no_image(laid_out: Any, deployer: Any, make_entry: Any) -> None:
    request = bootctl_service_pb2.RenderBootEntriesRequest(entries=[make_entry(1, grub_disk=grub_disk())])
    rendered = deployer.boot.RenderBootEntries(request, timeout=10).entries[0]
    assert "grub-" in rendered.files[0].text
    assert images(laid_out.first) == set()


def test_a_host_without_grub_is_told_what_to_install(laid_out: Any) -> None:
    settings = Settings.load(laid_out.settings_file)
    broken = TftpGrubImages(
        bootstrap.layout_of(settings), grub=GrubMkimage(directory=laid_out.directory), reserved_bytes=0
    )
    with pytest.raises(Exception, match="apt-get install grub-pc-bin"):
        broken.make(grub_image())
    assert images(laid_out.first) == set()


def test_images_that_nobody_needs_are_collected(laid_out: Any, deployer: Any, make_entry: Any) -> None:
    deployer.set(make_entry(1, grub_disk=grub_disk()), make_entry(2, grub_disk=grub_disk(arguments="rw")))
    kept = laid_out.node_files()["PXEClient/pxelinux.cfg/AC1F0001"].split("images_grub/")[1].split()[0]
    deployer.set(make_entry(2))
    for place in (laid_out.first, laid_out.second):
        for name in images(place):
            age(place / "images_grub" / name, hours=2)
    deployer.files.DeleteUnusedBootFiles(bootctl_service_pb2.DeleteUnusedBootFilesRequest(validate_only=True))
    assert len(images(laid_out.first)) == 2
    deployer.files.DeleteUnusedBootFiles(bootctl_service_pb2.DeleteUnusedBootFilesRequest())
    assert images(laid_out.first) == images(laid_out.second) == {kept}


def test_an_image_that_is_wanted_again_begins_a_new_age(laid_out: Any) -> None:
    settings = Settings.load(laid_out.settings_file)
    store = TftpGrubImages(
        bootstrap.layout_of(settings), grub=GrubMkimage(directory=settings.grub_directory), reserved_bytes=0
    )
    store.make(grub_image())
    age(laid_out.first / "images_grub" / grub_image().name, hours=2)
    store.make(grub_image())
    store.delete_unused(frozenset(), now=datetime.now(UTC), keep=timedelta(hours=1))
    assert images(laid_out.first) == {grub_image().name}


def test_a_node_that_changes_its_firmware_leaves_no_file_of_the_other_loader(
    laid_out: Any, deployer: Any, make_entry: Any
) -> None:
    deployer.set(make_entry(7))
    uefi = make_entry(7)
    uefi.node.firmware = UEFI
    assert [result.status.code for result in deployer.set(uefi)] == [0]
    names = {Path(path).name for path in laid_out.node_files()}
    assert names == {"grub.cfg-01-52-54-00-00-00-07", "grub.cfg-AC1F0007", "default"}


def test_two_nodes_never_share_a_card_whatever_their_firmware(deployer: Any, make_entry: Any) -> None:
    deployer.set(make_entry(7))
    other = make_entry(7, name="other")
    other.node.firmware = UEFI
    assert "belongs to the entry of node node-7" in deployer.set(other)[0].status.message


def grub_image() -> GrubImage:
    return GrubImage(configuration="echo nothing\n")
