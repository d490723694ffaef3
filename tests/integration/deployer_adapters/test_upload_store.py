"""Uploads on a disk: each content once, an owner for each, whatever happens to the process that writes them."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kadeploy_deployer.adapters.upload_store import UploadStore
from kadeploy_deployer.domain.upload import (
    UploadAddress,
    UploadDigestMismatch,
    UploadInProgress,
    UploadNoSpace,
    UploadNotFound,
    UploadOffset,
    UploadQuotaReached,
    UploadTooLarge,
)

pytestmark = pytest.mark.integration

CONTENT = b"an image" * 1000
HOUR = 3600.0


def address(content: bytes = CONTENT, owner: str = "alice") -> UploadAddress:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return UploadAddress.of(owner=owner, digest=digest, size=len(content))


@pytest.fixture
def store(tmp_path: Path) -> UploadStore:
    made = UploadStore(tmp_path / "uploads", largest=1 << 20, quota=20_000)
    made.prepare()
    return made


def put(store: UploadStore, content: bytes = CONTENT, owner: str = "alice") -> UploadAddress:
    wanted = address(content, owner)
    part = store.begin(wanted, 0)
    part.write(content)
    part.finish()
    part.close()
    return wanted


def read(store: UploadStore, wanted: UploadAddress) -> bytes:
    descriptor = store.open(wanted)
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def contents(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "uploads/content").iterdir())


def test_a_file_goes_on_from_where_it_broke_off(store: UploadStore) -> None:
    wanted = address()
    first = store.begin(wanted, 0)
    first.write(CONTENT[:3000])
    first.close()
    assert (store.find(wanted).received, store.find(wanted).is_whole) == (3000, False)
    with pytest.raises(UploadNotFound):
        store.open(wanted)
    with pytest.raises(UploadOffset, match="3000 bytes are here"):
        store.begin(wanted, 0)
    second = store.begin(wanted, 3000)
    second.write(CONTENT[3000:])
    second.finish()
    second.close()
    assert store.find(wanted).is_whole
    assert read(store, wanted) == CONTENT


def test_another_content_than_announced_is_removed(store: UploadStore) -> None:
    wanted = address()
    part = store.begin(wanted, 0)
    part.write(bytes(len(CONTENT)))
    with pytest.raises(UploadDigestMismatch):
        part.finish()
    part.close()
    assert store.find(wanted).received == 0
    with pytest.raises(UploadNotFound):
        store.open(wanted)


def test_a_content_is_there_once_and_stays_until_its_last_owner_leaves(store: UploadStore, tmp_path: Path) -> None:
    mine, other = put(store), put(store, owner="bob")
    assert contents(tmp_path) == [mine.key]
    store.remove(mine)
    with pytest.raises(UploadNotFound):
        store.open(mine)
    assert read(store, other) == CONTENT
    store.remove(other)
    assert contents(tmp_path) == []


def test_a_digest_opens_nobody_else_s_upload(store: UploadStore) -> None:
    put(store)
    with pytest.raises(UploadNotFound):
        store.open(address(owner="bob"))
    assert store.find(address(owner="bob")).received == 0


def test_each_file_and_each_user_has_a_bound(store: UploadStore) -> None:
    put(store)
    put(store, b"x" * 9000)
    with pytest.raises(UploadQuotaReached):
        store.begin(address(b"y" * 9000), 0)
    store.begin(address(b"y" * 9000, owner="bob"), 0).close()
    with pytest.raises(UploadTooLarge):
        store.begin(address(b"z" * ((1 << 20) + 1)), 0)
    begun = store.begin(address(b"w" * 1000), 0)
    with pytest.raises(UploadOffset):
        begun.write(b"w" * 1001)
    begun.close()


def test_what_was_begun_counts_with_what_it_will_be(store: UploadStore) -> None:
    store.begin(address(b"a" * 15_000), 0).close()
    with pytest.raises(UploadQuotaReached):
        store.begin(address(b"b" * 6_000), 0)


def test_a_full_disk_is_named(store: UploadStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Disk", (), {"free": 10, "total": 1000})())
    with pytest.raises(UploadNoSpace):
        store.begin(address(), 0)


def test_one_call_at_a_time_writes_a_file(store: UploadStore) -> None:
    part = store.begin(address(), 0)
    with pytest.raises(UploadInProgress):
        store.begin(address(), 0)
    part.close()
    store.begin(address(), 0).close()


KILLED = """
import sys
from pathlib import Path
from kadeploy_deployer.adapters.upload_store import UploadStore
from kadeploy_deployer.domain.upload import UploadAddress
store = UploadStore(Path(sys.argv[1]), largest=1 << 30, quota=1 << 30)
part = store.begin(UploadAddress.parse(sys.argv[2]), 0)
content = Path(sys.argv[3]).read_bytes()
for start in range(0, len(content), 997):
    part.write(content[start : start + 997])
    print(start, flush=True)
part.finish()
print("done", flush=True)
"""


@pytest.mark.parametrize("lines", [1, 3, 8])
def test_a_process_that_is_killed_in_the_middle_leaves_a_part_to_go_on_from(
    store: UploadStore, tmp_path: Path, lines: int
) -> None:
    (tmp_path / "content").write_bytes(CONTENT)
    wanted = address()
    command = [sys.executable, "-c", KILLED, str(tmp_path / "uploads"), wanted.uri, str(tmp_path / "content")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for _ in range(lines):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        child.wait(20)
    found = store.find(wanted)
    if not found.is_whole:
        part = store.begin(wanted, found.received)
        part.write(CONTENT[found.received :])
        part.finish()
        part.close()
    assert read(store, wanted) == CONTENT


def test_what_nothing_names_is_collected_when_it_has_been_left_alone_for_a_while(
    store: UploadStore, tmp_path: Path
) -> None:
    named, forgotten, fresh = put(store), put(store, b"forgotten"), put(store, b"fresh")
    begun = address(b"begun" * 10)
    store.begin(begun, 0).close()
    old = time.time() - 2 * HOUR
    for path in [*(tmp_path / "uploads").rglob("*")]:
        if path.is_file() and path.name != fresh.key:
            os.utime(path, (old, old))
    gone = store.collect(frozenset({named.uri}), before=time.time() - HOUR)
    assert set(gone) == {forgotten.uri, begun.uri}
    assert contents(tmp_path) == sorted([named.key, fresh.key])
    assert read(store, named) == CONTENT


def test_an_upload_under_way_is_not_collected(store: UploadStore) -> None:
    part = store.begin(address(), 0)
    assert store.collect(frozenset(), before=time.time() + HOUR) == []
    part.write(CONTENT)
    part.finish()
    part.close()
    assert store.find(address()).is_whole


def test_looking_at_an_upload_keeps_it(store: UploadStore, tmp_path: Path) -> None:
    wanted = put(store)
    old = time.time() - 2 * HOUR
    for path in [*(tmp_path / "uploads").rglob("*")]:
        os.utime(path, (old, old))
    assert store.find(wanted).is_whole
    assert store.collect(frozenset(), before=time.time() - HOUR) == []
    assert read(store, wanted) == CONTENT


def test_owners_who_end_at_the_same_time_all_have_the_content(store: UploadStore, tmp_path: Path) -> None:
    owners = [f"user{number}" for number in range(8)]
    threads = [threading.Thread(target=put, args=(store, CONTENT, owner)) for owner in owners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [read(store, address(owner=owner)) == CONTENT for owner in owners] == [True] * 8
    assert len(contents(tmp_path)) == 1


def test_the_directory_is_closed_to_others(store: UploadStore, tmp_path: Path) -> None:
    put(store)
    for path in [tmp_path / "uploads", *(tmp_path / "uploads").rglob("*")]:
        if path.name not in {".lock", ".owner"}:
            assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize(
    "uri",
    [
        "upload:///alice/sha256-00-1",
        "upload:///../sha256-" + "0" * 64 + "-1",
        "upload://alice/sha256-" + "0" * 64 + "-1",
        "upload:///a/b/sha256-" + "0" * 64 + "-1",
        "upload:///alice/sha256-" + "0" * 64 + "-0",
        "file:///x",
    ],
)
def test_an_address_that_is_none_is_none(uri: str) -> None:
    assert UploadAddress.parse(uri) is None
