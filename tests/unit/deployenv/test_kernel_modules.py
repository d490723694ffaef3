"""Which kernel modules go in, with those that they need."""

import pytest

from deployenv.failure import BuildFailure
from deployenv.kernel_modules import Module, ModuleCatalogue, modules_alias, modules_dep, parse_modinfo


def catalogue(*modules: Module, built_in: tuple[str, ...] = ()) -> ModuleCatalogue:
    return ModuleCatalogue(modules={m.name: m for m in modules}, built_in=frozenset(built_in))


def module(name: str, *depends: str, soft: tuple[str, ...] = (), aliases: tuple[str, ...] = ()) -> Module:
    return Module(name=name, path=f"kernel/{name}.ko", depends=depends, soft=soft, aliases=aliases)


def names(modules: list[Module]) -> list[str]:
    return [each.name for each in modules]


def test_a_module_comes_after_what_it_depends_on() -> None:
    kernel = catalogue(
        module("virtio_net", "virtio_ring", "virtio"),
        module("virtio_ring", "virtio"),
        module("virtio"),
        module("unrelated"),
    )

    assert names(kernel.closure(["virtio-net"])) == ["virtio", "virtio_ring", "virtio_net"]


def test_what_is_built_into_the_kernel_is_left_out() -> None:
    kernel = catalogue(module("xfs", "libcrc32c"), built_in=("ext4", "libcrc32c"))

    assert names(kernel.closure(["ext4", "xfs"])) == ["xfs"]


def test_an_unknown_module_is_named_with_who_wants_it() -> None:
    kernel = catalogue(module("xfs", "libcrc32c"))

    with pytest.raises(BuildFailure, match=r"no module libcrc32c \(wanted by xfs\)"):
        kernel.closure(["xfs"])


def test_a_soft_dependency_is_found_by_its_alias() -> None:
    kernel = catalogue(
        module("btrfs", soft=("blake2b-256", "crypto-crc32c", "not-there")),
        module("blake2b_generic", aliases=("blake2b-256", "crypto-blake2b-256")),
        module("crc32c_intel", aliases=("crypto-crc32c",)),
        built_in=("crypto-crc32c",),
    )

    assert names(kernel.closure(["btrfs"])) == ["blake2b_generic", "btrfs"]


def test_modules_that_depend_on_each_other_do_not_hang_the_build() -> None:
    kernel = catalogue(module("chicken", "egg"), module("egg", "chicken"))

    assert names(kernel.closure(["chicken"])) == ["egg", "chicken"]


def test_modules_dep_lists_everything_a_module_needs_nearest_first() -> None:
    kernel = catalogue(module("virtio_net", "virtio_ring"), module("virtio_ring", "virtio"), module("virtio"))

    assert modules_dep(kernel.closure(["virtio_net"]), kernel) == (
        "kernel/virtio.ko:\n"
        "kernel/virtio_ring.ko: kernel/virtio.ko\n"
        "kernel/virtio_net.ko: kernel/virtio_ring.ko kernel/virtio.ko\n"
    )


def test_modules_alias_lists_the_devices_of_each_module() -> None:
    assert modules_alias([module("virtio_net", aliases=("virtio:d00000001v*", "net"))]) == (
        "alias net virtio_net\nalias virtio:d00000001v* virtio_net\n"
    )


def test_a_module_is_read_from_what_it_says_of_itself() -> None:
    modinfo = b"\0".join(
        [
            b"license=GPL",
            b"alias=virtio:d00000001v*",
            b"softdep=pre: sha256 crypto-crc32c post: later",
            b"depends=virtio-ring,virtio",
            b"",
        ]
    )

    assert parse_modinfo("kernel/drivers/net/virtio-net.ko", modinfo) == Module(
        name="virtio_net",
        path="kernel/drivers/net/virtio-net.ko",
        depends=("virtio_ring", "virtio"),
        soft=("sha256", "crypto-crc32c"),
        aliases=("virtio:d00000001v*",),
    )
