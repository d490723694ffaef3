"""Which kernel modules go in, with those that they need: asked of the real depmod, modprobe and modinfo."""

import lzma
from pathlib import Path

import pytest

from kadeploy_deployenv.failure import BuildFailure
from kadeploy_deployenv.kernel_modules import indexes, module_name, module_tree, unpacked_module
from tests.unit.deployenv.kernel_module_files import kernel, module_file

MODULES = {
    "drivers/net/virtio_net.ko": ("needs=virtqueue_add", "alias=virtio:d00000001v*"),
    "drivers/virtio/virtio_ring.ko": ("exports=virtqueue_add", "needs=virtio_break"),
    "drivers/virtio/virtio.ko": ("exports=virtio_break",),
    "drivers/net/ethernet/bnx2x.ko": ("firmware=bnx2x/e2.fw", "firmware=bnx2x/e1.fw"),
    "drivers/net/ethernet/tiny-nic.ko": (),
    "fs/btrfs.ko": ("softdep=pre: crypto-crc32c not-there",),
    "crypto/crc32c.ko": ("alias=crypto-crc32c",),
}


def test_a_module_comes_with_what_it_depends_on(tmp_path: Path) -> None:
    with module_tree(kernel(tmp_path, MODULES)) as tree:
        chosen = tree.closure(["virtio-net"])
    assert chosen == [
        "kernel/drivers/net/virtio_net.ko",
        "kernel/drivers/virtio/virtio.ko",
        "kernel/drivers/virtio/virtio_ring.ko",
    ]


def test_what_is_built_into_the_kernel_is_left_out(tmp_path: Path) -> None:
    with module_tree(kernel(tmp_path, MODULES, built_in=["fs/ext4/ext4.ko"])) as tree:
        assert tree.closure(["ext4", "virtio"]) == ["kernel/drivers/virtio/virtio.ko"]


def test_an_unknown_module_is_named(tmp_path: Path) -> None:
    with (
        module_tree(kernel(tmp_path, MODULES)) as tree,
        pytest.raises(BuildFailure, match=r"kernel 6\.1\.0-test has no module no_such, nor_this"),
    ):
        tree.closure(["no-such", "virtio", "nor_this"])


def test_a_soft_dependency_is_found_by_its_alias(tmp_path: Path) -> None:
    with module_tree(kernel(tmp_path, MODULES)) as tree:
        assert tree.closure(["btrfs"]) == ["kernel/crypto/crc32c.ko", "kernel/fs/btrfs.ko"]


def test_a_folder_gives_the_modules_below_it(tmp_path: Path) -> None:
    with module_tree(kernel(tmp_path, MODULES)) as tree:
        assert tree.below(["drivers/net/ethernet", "drivers/none"]) == ["bnx2x", "tiny_nic"]


def test_the_firmware_of_a_driver_is_what_the_driver_says(tmp_path: Path) -> None:
    with module_tree(kernel(tmp_path, MODULES)) as tree:
        assert tree.firmware(tree.closure(["bnx2x", "virtio_net"])) == {"bnx2x": ("bnx2x/e2.fw", "bnx2x/e1.fw")}


def test_the_indexes_know_the_devices_of_the_chosen_modules_alone(tmp_path: Path) -> None:
    source = kernel(tmp_path, MODULES)
    with module_tree(source) as tree:
        written = indexes(tree.contents(tree.closure(["virtio_net"])), source)
    assert b"alias virtio:d00000001v* virtio_net" in written["modules.alias"]
    assert b"bnx2x" not in written["modules.dep"]
    assert b"kernel/drivers/net/virtio_net.ko: kernel/drivers/virtio/virtio_ring.ko" in written["modules.dep"]
    assert {"modules.dep.bin", "modules.alias.bin", "modules.softdep"} <= set(written)


def test_compressed_modules_are_unpacked_and_named_so(tmp_path: Path) -> None:
    """As in Debian 13. modprobe would try to unpack what only has the ending."""
    source = kernel(tmp_path, MODULES)
    for path in source.modules.rglob("*.ko"):
        path.with_name(f"{path.name}.xz").write_bytes(lzma.compress(path.read_bytes()))
        path.unlink()
    with module_tree(source) as tree:
        contents = tree.contents(tree.closure(["virtio_net"]))
    assert sorted(contents) == [
        "kernel/drivers/net/virtio_net.ko",
        "kernel/drivers/virtio/virtio.ko",
        "kernel/drivers/virtio/virtio_ring.ko",
    ]
    assert all(content.startswith(b"\x7fELF") for content in contents.values())
    assert b"kernel/drivers/net/virtio_net.ko: " in indexes(contents, source)["modules.dep"]


def test_a_compressed_module_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "igb.ko.xz"
    path.write_bytes(lzma.compress(module_file("name=igb")))
    assert unpacked_module(path) == module_file("name=igb")
    assert module_name("kernel/drivers/net/8021q-x.ko.xz") == "8021q_x"
