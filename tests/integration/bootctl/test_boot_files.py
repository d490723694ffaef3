"""Uploading, listing and collecting boot files; nothing but the announced content is ever kept."""

import json
import logging
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from kadeploy.bootctl.v1 import boot_entry_pb2, bootctl_service_pb2
from kadeploy_bootctl import bootstrap
from kadeploy_bootctl.settings import Settings
from kadeploy_bootctl.tree.entry_store import TftpEntryStore
from kadeploy_edge.status import RemoteError, from_rpc_error
from tests.integration.bootctl.conftest import age, digest_of

pytestmark = pytest.mark.integration

KERNEL = b"kernel" * 100_000
SECONDS = 20.0


def header(digest: str, size: int, description: str = "a file") -> bootctl_service_pb2.UploadBootFileRequest:
    return bootctl_service_pb2.UploadBootFileRequest(
        header=bootctl_service_pb2.BootFileHeader(digest=digest, size_bytes=size, description=description)
    )


def content(portion: bytes) -> bootctl_service_pb2.UploadBootFileRequest:
    return bootctl_service_pb2.UploadBootFileRequest(content=portion)


def refused(stubs: Any, messages: Iterable[bootctl_service_pb2.UploadBootFileRequest]) -> RemoteError:
    with pytest.raises(grpc.RpcError) as error:
        stubs.files.UploadBootFile(iter(messages), timeout=10)
    return from_rpc_error(error.value)


def files_in(root: Path) -> set[str]:
    """Every plain file of the tree but the lock."""
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path.name != "lock"}


def test_a_file_stands_once_in_both_repositories(laid_out: Any, deployer: Any) -> None:
    answer = deployer.upload(KERNEL, description="vmlinuz of debian12")
    assert (answer.digest, answer.size_bytes) == (digest_of(KERNEL), len(KERNEL))
    assert (answer.description, answer.reference_count) == ("vmlinuz of debian12", 0)
    name = digest_of(KERNEL).replace(":", "-")
    first, second = laid_out.first / "images_grub" / name, laid_out.second / "images_grub" / name
    assert first.read_bytes() == KERNEL
    assert first.samefile(second)
    assert first.stat().st_mode & 0o777 == 0o644
    get = bootctl_service_pb2.GetBootFileRequest(digest=digest_of(KERNEL))
    assert deployer.files.GetBootFile(get, timeout=10) == answer


def test_a_file_that_is_there_is_answered_at_once(deployer: Any) -> None:
    first = deployer.upload(KERNEL, description="first")
    sent: list[int] = []

    def messages() -> Iterator[bootctl_service_pb2.UploadBootFileRequest]:
        yield header(digest_of(KERNEL), len(KERNEL), "second")
        # The answer must come although nothing follows: it ends the stream.
        sent.append(1)

    assert deployer.files.UploadBootFile(messages(), timeout=10) == first


def test_entries_count_as_references(laid_out: Any, deployer: Any, make_entry: Any) -> None:
    deployer.upload(KERNEL)
    deployer.upload(b"initrd")
    target = boot_entry_pb2.NetworkTarget(kernel_digest=digest_of(KERNEL), initrd_digest=digest_of(b"initrd"))
    deployer.set(make_entry(1, network=target), make_entry(2, network=target))
    files = deployer.files.ListBootFiles(bootctl_service_pb2.ListBootFilesRequest(), timeout=10).files
    assert [file.reference_count for file in files] == [2, 2]
    text = laid_out.node_files()["PXEClient/pxelinux.cfg/AC1F0001"]
    kernel = text.partition("LINUX ")[2].partition("\n")[0]
    assert (laid_out.first / kernel).read_bytes() == KERNEL


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "INVALID_UPLOAD"),
        ([content(b"x")], "INVALID_UPLOAD"),
        ([header("sha256:x", 1)], "INVALID_DIGEST"),
        ([header("sha256:../../" + "0" * 58, 1)], "INVALID_DIGEST"),
        ([header(digest_of(b"x"), 0)], "INVALID_UPLOAD"),
        ([header(digest_of(b"x"), -1)], "INVALID_UPLOAD"),
        ([header(digest_of(b"x"), 1, "a\nb")], "INVALID_UPLOAD"),
        ([header(digest_of(b"x"), 2_000_001)], "BOOT_FILE_TOO_LARGE"),
        ([header(digest_of(b"x"), 1), content(b"y")], "DIGEST_MISMATCH"),
        ([header(digest_of(b"x"), 1), content(b"xx")], "DIGEST_MISMATCH"),
        ([header(digest_of(b"xx"), 2), content(b"x")], "DIGEST_MISMATCH"),
        ([header(digest_of(b"x"), 1)], "DIGEST_MISMATCH"),
        ([header(digest_of(b"x"), 1), header(digest_of(b"x"), 1)], "INVALID_UPLOAD"),
        ([header(digest_of(b"x"), 2_000_000), content(b"x" * ((1 << 20) + 1))], "OUT_OF_BOUNDS"),
    ],
)
def test_an_upload_that_is_not_what_it_says_leaves_nothing(
    laid_out: Any, deployer: Any, messages: list[bootctl_service_pb2.UploadBootFileRequest], reason: str
) -> None:
    before = files_in(laid_out.tftp_root)
    said = refused(deployer, messages)
    assert (said.reason, bool(said.violations)) == (reason, True)
    assert files_in(laid_out.tftp_root) == before


def test_an_upload_that_breaks_off_leaves_nothing_and_is_recorded_as_cancelled(
    laid_out: Any, deployer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    before = files_in(laid_out.tftp_root)

    def messages() -> Iterator[bootctl_service_pb2.UploadBootFileRequest]:
        yield header(digest_of(KERNEL), len(KERNEL))
        yield content(KERNEL[:1000])
        call.cancel()

    call: Any = None
    call = deployer.files.UploadBootFile.future(messages(), timeout=10)
    with pytest.raises((grpc.RpcError, grpc.FutureCancelledError)):
        call.result()
    # The server notices a moment later; a whole upload passes through the same place.
    deployer.upload(b"another")
    for _ in range(100):
        left = files_in(laid_out.tftp_root) - before
        if not any(name.endswith(".tmp") for name in left):
            break
        deployer.files.ListBootFiles(bootctl_service_pb2.ListBootFilesRequest(), timeout=10)
    assert not any(name.endswith(".tmp") for name in left)
    get = bootctl_service_pb2.GetBootFileRequest(digest=digest_of(KERNEL))
    with pytest.raises(grpc.RpcError) as error:
        deployer.files.GetBootFile(get, timeout=10)
    assert from_rpc_error(error.value).reason == "BOOT_FILE_NOT_FOUND"
    uploads = [record for record in caplog.records if "UploadBootFile" in record.getMessage()]
    audited = [json.loads(record.getMessage())["outcome"] for record in uploads if record.name == "audit"]
    assert sorted(audited) == ["CANCELLED", "OK"]
    assert not [record for record in uploads if record.levelno >= logging.WARNING]


def test_files_are_listed_in_pages_by_digest(deployer: Any) -> None:
    digests = sorted(deployer.upload(bytes([number])).digest for number in range(5))
    found: list[str] = []
    token = ""
    while True:
        request = bootctl_service_pb2.ListBootFilesRequest(page_size=2, page_token=token)
        page = deployer.files.ListBootFiles(request, timeout=10)
        found += [file.digest for file in page.files]
        token = page.next_page_token
        if not token:
            break
    assert found == digests


def test_only_files_that_are_old_and_unused_are_collected(laid_out: Any, deployer: Any, make_entry: Any) -> None:
    notes = laid_out.first / "images_grub" / ".bootctl" / "files"
    for text in (b"used", b"old", b"fresh", b"wanted again"):
        deployer.upload(text)
    target = boot_entry_pb2.NetworkTarget(kernel_digest=digest_of(b"used"))
    deployer.set(make_entry(1, network=target))
    for text in (b"used", b"old", b"wanted again"):
        age(notes / digest_of(text).replace(":", "-"), hours=2)
    deployer.upload(b"wanted again")
    for validate_only in (True, False):
        request = bootctl_service_pb2.DeleteUnusedBootFilesRequest(validate_only=validate_only)
        deleted = deployer.files.DeleteUnusedBootFiles(request, timeout=10).files
        assert [file.digest for file in deleted] == [digest_of(b"old")]
    names = {path.name for place in (laid_out.first, laid_out.second) for path in (place / "images_grub").iterdir()}
    assert digest_of(b"old").replace(":", "-") not in names
    assert not (notes / digest_of(b"old").replace(":", "-")).exists()
    assert digest_of(b"used").replace(":", "-") in names


def test_what_is_old_and_unused_goes_by_itself_while_the_service_runs(laid_out: Any) -> None:
    runtime = bootstrap.open_runtime(Settings.load(laid_out.settings_file))
    assert isinstance(runtime.entries, TftpEntryStore)
    try:
        digest = digest_of(b"old")
        with runtime.files.receive(digest, 3) as incoming:
            incoming.write(b"old")
            incoming.keep(description="kernel of debian", now=datetime.now(UTC) - timedelta(hours=2))
        stored = laid_out.first / "images_grub" / digest.replace(":", "-")
        assert stored.exists()
        with bootstrap.collector(runtime, pause=0.01):
            deadline = time.monotonic() + SECONDS
            while stored.exists():
                assert time.monotonic() < deadline, "it is not collected"
                time.sleep(0.01)
    finally:
        runtime.entries.close()


def test_a_file_that_is_lost_in_one_repository_is_uploaded_again(laid_out: Any, deployer: Any) -> None:
    deployer.upload(KERNEL)
    lost = laid_out.second / "images_grub" / digest_of(KERNEL).replace(":", "-")
    lost.unlink()
    deployer.upload(KERNEL)
    assert lost.read_bytes() == KERNEL


def test_no_room_is_told_before_anything_is_written(
    laid_out: Any, deployer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kadeploy_bootctl.tree.directory.Directory.free_bytes", lambda _: 1000)
    before = files_in(laid_out.tftp_root)
    error = refused(deployer, [header(digest_of(KERNEL), len(KERNEL))])
    assert (error.reason, error.code) == ("NO_SPACE", grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert files_in(laid_out.tftp_root) == before
