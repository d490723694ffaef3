"""A file system that runs full in the middle of a batch: told per entry, and the old files stay."""

import errno
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kadeploy.bootctl.v1 import bootctl_service_pb2, bootctl_service_pb2_grpc
from kadeploy_bootctl import bootstrap
from kadeploy_bootctl.domain.errors import NoSpace
from kadeploy_bootctl.settings import Settings
from kadeploy_bootctl.tree.directory import Directory
from kadeploy_bootctl.tree.entry_store import TftpEntryStore
from kadeploy_bootctl.tree.notes import pending_note
from kadeploy_edge.channel import open_channel
from kadeploy_edge.errors import Exhausted
from kadeploy_edge.status import from_status
from tests.fakes.small_disk import SmallDisk, may_mount, on_small_disk
from tests.integration.bootctl.conftest import Stubs, age, serving_bootctl

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


def test_a_batch_that_found_no_room_is_forgotten_and_the_next_start_needs_none(
    laid_out: Any, deployer: Any, make_entry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployer.set(make_entry(1))
    with monkeypatch.context() as patched:
        patched.setattr("kadeploy_bootctl.tree.entry_batch.EntryBatch.make_durable", no_room)
        deployer.set(make_entry(1, owner="d2"), make_entry(2))
    assert not (laid_out.first / "images_grub" / ".bootctl" / "pending").exists()


def no_room(*_: object) -> None:
    raise NoSpace("PXEClient")


@pytest.mark.parametrize("after", range(8))
def test_clearing_that_is_cut_off_is_finished_by_the_next_start(
    laid_out: Any, make_entry: Any, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    with serving_bootctl(laid_out) as connect:
        connect("deployer").set(*(make_entry(number) for number in (1, 2, 3)))
    before = laid_out.node_files()
    layout = bootstrap.layout_of(Settings.load(laid_out.settings_file))
    store = TftpEntryStore(layout)
    store.open()
    calls = 0

    class Killed(BaseException):
        pass

    def dying(call: Any) -> Any:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > after:
                raise Killed
            return call(*arguments, **named)

        return wrapped

    with monkeypatch.context() as patched:
        for name in ("rename", "remove", "sync"):
            patched.setattr(Directory, name, dying(getattr(Directory, name)))
        with pytest.raises(Killed):
            store.remove(["node-1", "node-2"])
    store.close()
    again = TftpEntryStore(layout)
    again.open()
    left = {written.entry.node.name for written in again.all()}
    again.close()
    assert left <= {"node-1", "node-2", "node-3"}
    assert "node-3" in left
    expected = {
        path: text
        for path, text in before.items()
        if path.endswith("default") or any(path in again.paths(written.entry.node) for written in again.all())
    }
    assert laid_out.node_files() == expected
    notes = {path.name for path in (laid_out.first / "images_grub" / ".bootctl" / "entries").iterdir()}
    assert notes == left


def test_an_entry_that_is_set_again_after_a_clearing_that_failed_stays(
    laid_out: Any, make_entry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving_bootctl(laid_out) as connect:
        deployer = connect("deployer")
        deployer.set(make_entry(1))
        clear = bootctl_service_pb2.ClearBootEntriesRequest(nodes="node-1")
        with monkeypatch.context() as patched:
            patched.setattr(TftpEntryStore, "_clear_marked", no_room)
            with pytest.raises(grpc.RpcError):
                deployer.boot.ClearBootEntries(clear, timeout=10)
        deployer.set(make_entry(1, owner="d2"))
        assert "d2" in laid_out.node_files()["PXEClient/pxelinux.cfg/AC1F0001"]
    store = TftpEntryStore(bootstrap.layout_of(Settings.load(laid_out.settings_file)))
    store.open()
    store.close()
    assert "d2" in laid_out.node_files()["PXEClient/pxelinux.cfg/AC1F0001"]


@pytest.fixture
def full_bootctl(laid_out: Any) -> Iterator[tuple[SmallDisk, Stubs]]:
    """A bootctl whose tree is a disk of a few megabytes."""
    program = str(Path(sys.executable).parent / "kadeploy-bootctl")
    text = laid_out.settings_file.read_text()
    laid_out.settings_file.write_text(f"reserved_bytes = 0\n{text}")
    command = [program, "serve", "--config", str(laid_out.settings_file)]
    with (
        on_small_disk(command, laid_out.tftp_root, size=8 << 20) as disk,
        open_channel(f"unix:{laid_out.directory}/s", caller="user:root") as channel,
    ):
        health = health_pb2_grpc.HealthStub(channel)
        health.Check(health_pb2.HealthCheckRequest(), timeout=30, wait_for_ready=True)
        yield (
            disk,
            Stubs(
                boot=bootctl_service_pb2_grpc.BootServiceStub(channel),
                files=bootctl_service_pb2_grpc.BootFileServiceStub(channel),
                tree=bootctl_service_pb2_grpc.TreeServiceStub(channel),
            ),
        )


@pytest.mark.skipif(not may_mount(), reason="needs a real root")
def test_on_a_disk_that_is_really_full_entries_are_cleared_and_unused_files_go(
    full_bootctl: tuple[SmallDisk, Stubs], make_entry: Any
) -> None:
    disk, bootctl = full_bootctl
    bootctl.set(*(make_entry(number) for number in range(1, 101)))
    kernel = bootctl.upload(b"k" * 300_000)
    note = disk.view / "PXEClient" / "images_grub" / ".bootctl" / "files" / f"sha256-{kernel.digest[7:]}"
    age(note, hours=2)
    disk.fill()
    (refused,) = bootctl.set(make_entry(1, owner="another owner"))
    assert (from_status(refused.status).reason, from_status(refused.status).kind) == ("NO_SPACE", Exhausted)
    assert "has no room; delete unused boot files" in refused.status.message
    cleared = bootctl.boot.ClearBootEntries(
        bootctl_service_pb2.ClearBootEntriesRequest(nodes="node-[1-100]"), timeout=30
    )
    assert [result.status.message for result in cleared.results] == [""] * 100
    left = [path.name for path in (disk.view / "PXEClient" / "pxelinux.cfg").iterdir()]
    assert sorted(left) == ["default", "grub.cfg"]
    disk.fill()
    gone = bootctl.files.DeleteUnusedBootFiles(bootctl_service_pb2.DeleteUnusedBootFilesRequest(), timeout=30)
    assert [file.digest for file in gone.files] == [kernel.digest]
    (set_again,) = bootctl.set(make_entry(1))
    assert set_again.status.message == ""


@pytest.mark.skipif(not may_mount(), reason="needs a real root")
def test_a_bootctl_that_was_killed_in_a_batch_starts_on_a_full_disk_and_clears(laid_out: Any, make_entry: Any) -> None:
    with serving_bootctl(laid_out) as connect:
        connect("deployer").set(make_entry(1))
    state = laid_out.first / "images_grub" / ".bootctl"
    (state / "pending").write_bytes(pending_note({"node-1"}, {"01-52-54-00-00-00-01"}))
    program = str(Path(sys.executable).parent / "kadeploy-bootctl")
    serve = [program, "serve", "--config", str(laid_out.settings_file)]
    command = ["sh", "-c", 'head -c 9000000 /dev/zero > "$0/filler"; exec "$@"', str(laid_out.tftp_root), *serve]
    with (
        on_small_disk(command, laid_out.tftp_root, size=2 << 20),
        open_channel(f"unix:{laid_out.directory}/s", caller="user:root") as channel,
    ):
        boot = bootctl_service_pb2_grpc.BootServiceStub(channel)
        request = bootctl_service_pb2.ClearBootEntriesRequest(nodes="node-1")
        cleared = boot.ClearBootEntries(request, timeout=30, wait_for_ready=True)
        assert [result.status.message for result in cleared.results] == [""]
