"""Where the kernel comes from, and what it says of itself."""

import struct
from pathlib import Path

import pytest

from kadeploy_deployenv.failure import BuildFailure
from kadeploy_deployenv.kernel import image_release, packaged_kernel, site_kernel


def image(text: str = "6.9.1-site (root@host) #1 SMP") -> bytes:
    """Returns the beginning of a bzImage as the boot protocol describes it."""
    head = bytearray(0x4000)
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", head, 0x20E, 0x1000)
    head[0x1200 : 0x1200 + len(text)] = text.encode()
    return bytes(head)


def test_a_kernel_says_its_release(tmp_path: Path) -> None:
    (tmp_path / "bzImage").write_bytes(image())
    assert image_release(tmp_path / "bzImage") == "6.9.1-site"


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", bytes(0x4000)])
def test_what_is_no_kernel_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "thing").write_bytes(content)
    with pytest.raises(BuildFailure, match=r"thing is neither a kernel for x86 \(bzImage\) nor a Debian package"):
        site_kernel(tmp_path / "thing", tmp_path)


def test_the_modules_of_a_kernel_image_are_those_of_its_release(tmp_path: Path) -> None:
    (tmp_path / "bzImage").write_bytes(image())
    with pytest.raises(BuildFailure, match=r"its modules are not here: .*/6\.9\.1-site"):
        site_kernel(tmp_path / "bzImage", tmp_path, modules=tmp_path / "modules")
    (tmp_path / "modules/6.9.1-site/kernel").mkdir(parents=True)
    found = site_kernel(tmp_path / "bzImage", tmp_path, modules=tmp_path / "modules")
    assert (found.release, found.modules) == ("6.9.1-site", tmp_path / "modules/6.9.1-site")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildFailure, match=r"--kernel .*nothing: there is no such file"):
        site_kernel(tmp_path / "nothing", tmp_path)


def test_packages_hold_one_kernel_with_its_modules(tmp_path: Path) -> None:
    with pytest.raises(BuildFailure, match="has no kernel"):
        packaged_kernel(tmp_path)
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinuz-6.1").touch()
    with pytest.raises(BuildFailure, match=r"has the kernel 6\.1, but no modules of it"):
        packaged_kernel(tmp_path)
    (tmp_path / "lib/modules/6.1/kernel").mkdir(parents=True)
    assert packaged_kernel(tmp_path).release == "6.1"
    (tmp_path / "boot/vmlinuz-6.2").touch()
    with pytest.raises(BuildFailure, match=r"more than one kernel: vmlinuz-6\.1, vmlinuz-6\.2"):
        packaged_kernel(tmp_path)
