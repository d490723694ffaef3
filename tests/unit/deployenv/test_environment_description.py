"""The description beside an environment that the project builds."""

from dataclasses import replace

import pytest
from environments.description import Description

TINY = Description(
    name="tiny",
    version=1,
    description="busybox on Debian's kernel",
    author="root@localhost",
    size=20,
    kernelpath="/boot/vmlinuz",
    initrdpath="/boot/initrd.img",
    kernelparam="console=ttyS0,115200 quiet",
    filebase="/images/tiny.tar.zst",
    filesite="/images/tiny-postinstall.tgz",
    fdisktype="83",
    filesystem="ext4",
)


def test_a_description_is_one_line_per_key() -> None:
    assert TINY.render() == (
        "name = tiny\n"
        "version = 1\n"
        "description = busybox on Debian's kernel\n"
        "author = root@localhost\n"
        "size = 20\n"
        "kernelpath = /boot/vmlinuz\n"
        "initrdpath = /boot/initrd.img\n"
        "kernelparam = console=ttyS0,115200 quiet\n"
        "filebase = /images/tiny.tar.zst\n"
        "filesite = /images/tiny-postinstall.tgz\n"
        "fdisktype = 83\n"
        "filesystem = ext4\n"
        "optsupport = 0\n"
    )


def test_what_is_empty_is_left_out() -> None:
    text = replace(TINY, kernelpath="chainload", initrdpath="", kernelparam="").render()
    assert "kernelpath = chainload\nfilebase" in text
    assert "initrdpath" not in text


def test_a_value_that_would_not_be_read_back_is_refused() -> None:
    with pytest.raises(ValueError, match="description cannot be written on one line"):
        replace(TINY, description="two\nlines").render()
