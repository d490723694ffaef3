"""A file system that runs full in the middle of a batch: told per entry, and the old files stay."""

import errno
from typing import Any

import pytest

from kadeploy_edge.status import from_status

pytestmark = pytest.mark.integration


def test_a_full_disk_is_told_for_each_entry_and_the_old_files_stay(
    laid_out: Any, deployer: Any, make_entry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployer.set(make_entry(1), make_entry(2))
    files = laid_out.node_files()

    def full(_fd: int, _content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("kadeploy_bootctl.tree.directory.write_all", full)
        results = deployer.set(*(make_entry(number, owner="d2") for number in (1, 2, 3)))
    assert [from_status(result.status).reason for result in results] == ["NO_SPACE"] * 3
    assert laid_out.node_files() == files
    assert [result.status.code for result in deployer.set(make_entry(1, owner="d2"))] == [0]
    assert "d2" in laid_out.node_files()["PXEClient/pxelinux.cfg/AC1F0001"]


def test_a_repository_on_another_file_system_gets_copies(
    laid_out: Any, deployer: Any, make_entry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr("os.link", no_link)
    deployer.set(make_entry(1), make_entry(2))
    deployer.upload(b"kernel")
    files = laid_out.node_files()
    assert len(files) == 2 * 2 * 2 + 2
    assert files["PXEClient/pxelinux.cfg/AC1F0001"] == files["X86PC/linux/pxelinux.cfg/AC1F0001"]
    copies = [path.read_bytes() for path in laid_out.tftp_root.rglob("images_grub/sha256-*")]
    assert copies == [b"kernel", b"kernel"]
