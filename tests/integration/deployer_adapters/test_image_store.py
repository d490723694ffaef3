"""The store of images, on files and archives of the test."""

import asyncio
import bz2
import hashlib
import io
import os
import subprocess
import tarfile
import threading
import time
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kadeploy_deployer.adapters.image_cache import ImageCache
from kadeploy_deployer.adapters.image_directories import ImageDirectories
from kadeploy_deployer.adapters.image_download import ImageDownloads
from kadeploy_deployer.adapters.image_hosts import ImageHosts
from kadeploy_deployer.adapters.image_store import FileImageStore
from kadeploy_deployer.domain.snapshot import EnvironmentSnapshot, FileSnapshot
from kadeploy_deployer.domain.vocabulary import Compression, ImageKind
from kadeploy_deployer.ports import BootFiles, DigestDiffers, ImageError

pytestmark = pytest.mark.integration

KERNEL, INITRD = b"kernel" * 1000, b"initrd" * 2000


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def registered(uri: str, content: bytes, compression: Compression = Compression.NONE) -> FileSnapshot:
    return FileSnapshot(uri=uri, digest=digest_of(content), size_bytes=len(content), compression=compression)


def local(path: Path, compression: Compression = Compression.NONE) -> FileSnapshot:
    return registered(path.as_uri(), path.read_bytes(), compression)


def store_of(place: Path, directories: ImageDirectories | None = None) -> FileImageStore:
    """Returns a store that looks for files in a directory, and keeps what it makes beside it."""
    return FileImageStore(
        place.with_name(f"{place.name}-cache"),
        directories=directories or ImageDirectories([place]),
        downloads=ImageDownloads(ImageHosts()),
    )


@pytest.fixture
def store(tmp_path: Path) -> FileImageStore:
    return store_of(tmp_path)


async def content_of(store: FileImageStore, file: FileSnapshot) -> bytes:
    async with store.fetch(file, user="alice") as opened:
        return opened.read_at(0, opened.size())


# --- Local files ---


async def test_a_local_file_is_given_as_it_is(store: FileImageStore, tmp_path: Path) -> None:
    file = tmp_path / "an image"
    file.write_bytes(b"content")
    assert await content_of(store, local(file)) == b"content"


async def test_another_digest_names_both(store: FileImageStore, tmp_path: Path) -> None:
    file = tmp_path / "image"
    file.write_bytes(b"content")
    expected = local(file)
    file.write_bytes(b"CONTENT")
    with pytest.raises(DigestDiffers) as caught:
        await content_of(store, expected)
    for part in (digest_of(b"content"), digest_of(b"CONTENT"), file.as_uri()):
        assert part in str(caught.value)


async def test_another_size_names_both_digests_too(store: FileImageStore, tmp_path: Path) -> None:
    file = tmp_path / "image"
    file.write_bytes(b"content")
    with pytest.raises(DigestDiffers, match=r"\(7 bytes\) is found where sha256:\w+ \(8 bytes\) is reg"):
        await content_of(store, replace(local(file), size_bytes=8))


async def test_a_file_is_proved_once_while_it_is_unchanged(
    store: FileImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "image"
    file.write_bytes(b"content")
    expected = local(file)
    await content_of(store, expected)
    monkeypatch.setattr("kadeploy_deployer.adapters.image_store.VerifyingReader", None)
    assert await content_of(store, expected) == b"content"
    monkeypatch.undo()
    file.write_bytes(b"CONTENT")
    os.utime(file, ns=(1, 1))
    with pytest.raises(ImageError):
        await content_of(store, expected)


async def test_a_change_is_seen_although_size_and_time_are_put_back(store: FileImageStore, tmp_path: Path) -> None:
    file = tmp_path / "image"
    file.write_bytes(b"content")
    expected, before = local(file), file.stat()
    await content_of(store, expected)
    await asyncio.sleep(0.02)  # a tick of the file system's clock
    file.write_bytes(b"CONTENT")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DigestDiffers):
        await content_of(store, expected)


@pytest.mark.parametrize("uri", ["file://elsewhere/image", "ftp://elsewhere/image", "image", "file://[/image", ""])
async def test_an_address_that_is_none_is_refused(store: FileImageStore, uri: str) -> None:
    with pytest.raises(ImageError, match="cannot be fetched: "):
        await content_of(store, registered(uri, b""))


async def test_what_is_in_hand_stays_what_it_was_whatever_its_name_leads_to(
    store: FileImageStore, tmp_path: Path
) -> None:
    file = tmp_path / "image"
    file.write_bytes(b"content")
    async with store.fetch(local(file), user="alice") as opened:
        (tmp_path / "other").write_bytes(b"another")
        (tmp_path / "other").rename(file)
        assert opened.read_at(0, 100) == b"content"


async def test_a_name_that_is_swapped_meanwhile_never_gives_a_file_from_outside(tmp_path: Path) -> None:
    """Somebody who may write into a directory of images tries to get a file of the deployer's host by its digest."""
    place, mine, secret = tmp_path / "images", tmp_path / "images" / "alice", tmp_path / "secret"
    mine.mkdir(parents=True)
    secret.write_bytes(b"of the deployer alone")
    wanted = registered(f"file://{mine}/x", secret.read_bytes())
    store = store_of(place)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            (mine / "a").write_bytes(b"harmless")
            (mine / "a").rename(mine / "x")
            (mine / "b").symlink_to(secret)
            (mine / "b").rename(mine / "x")

    thread = threading.Thread(target=swap)
    thread.start()
    tries = got = 0
    try:
        end = time.monotonic() + 3
        while time.monotonic() < end:
            tries += 1
            with suppress(ImageError):
                await content_of(store, wanted)
                got += 1
    finally:
        stop.set()
        thread.join()
    assert tries > 100
    assert got == 0


async def test_nothing_of_a_local_file_is_work_of_the_loop_s_own_threads(
    store: FileImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def used(*_: object) -> None:
        raise AssertionError("the default executor was used")

    monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", used)
    archive = Archive()
    archive.file("vmlinuz", KERNEL)
    found = await store.boot_files(environment(archive.write(tmp_path / "image"), initrd=""), user="alice")
    assert found.kernel.read_bytes() == KERNEL


# --- Kernel and initrd ---


class Archive:
    """A tar archive in the making."""

    def __init__(self) -> None:
        self._content = io.BytesIO()
        self._archive = tarfile.open(fileobj=self._content, mode="w")  # noqa: SIM115 - closed when written

    def file(self, name: str, content: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        self._archive.addfile(member, io.BytesIO(content))

    def link(self, name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> None:
        member = tarfile.TarInfo(name)
        member.type = kind
        member.linkname = target
        self._archive.addfile(member)

    def write(self, path: Path, compression: Compression = Compression.NONE) -> FileSnapshot:
        self._archive.close()
        path.write_bytes(self._content.getvalue())
        if compression is not Compression.NONE:
            packed = subprocess.run([compression, "-c", str(path)], check=True, capture_output=True, timeout=30)
            path.write_bytes(packed.stdout)
        return local(path, compression)


def environment(image: FileSnapshot, kernel: str = "/vmlinuz", initrd: str = "/initrd.img") -> EnvironmentSnapshot:
    return EnvironmentSnapshot(
        name="debian", version=3, owner="root", image=image, kernel_path=kernel, initrd_path=initrd
    )


@pytest.mark.parametrize("compression", list(Compression))
async def test_kernel_and_initrd_come_out_of_every_kind_of_archive(
    store: FileImageStore, tmp_path: Path, compression: Compression
) -> None:
    archive = Archive()
    archive.link("./vmlinuz", "boot/vmlinuz-6.1")
    archive.file("./boot/vmlinuz-6.1", KERNEL)
    archive.file("./boot/initrd.img-6.1", INITRD)
    archive.link("./initrd.img", "boot/initrd.img-6.1")
    found = await store.boot_files(environment(archive.write(tmp_path / "image", compression)), user="alice")
    assert found.kernel.read_bytes() == KERNEL
    assert found.kernel_digest == digest_of(KERNEL)
    assert found.initrd is not None
    assert found.initrd.read_bytes() == INITRD
    assert found.initrd_digest == digest_of(INITRD)


async def test_links_of_all_kinds_are_followed_inside_the_archive(store: FileImageStore, tmp_path: Path) -> None:
    archive = Archive()
    archive.link("vmlinuz", "/etc/alternatives/kernel")
    archive.link("etc/alternatives/kernel", "../../../../boot/current/vmlinuz")
    archive.link("boot/current", "6.1")
    archive.file("boot/6.1/real", KERNEL)
    archive.link("boot/6.1/vmlinuz", "boot/6.1/real", tarfile.LNKTYPE)
    found = await store.boot_files(environment(archive.write(tmp_path / "image"), initrd=""), user="alice")
    assert found.kernel.read_bytes() == KERNEL
    assert (found.initrd, found.initrd_digest) == (None, "")


async def test_a_link_never_leads_to_a_file_of_this_host(store: FileImageStore, tmp_path: Path) -> None:
    archive = Archive()
    (tmp_path / "secret").write_bytes(b"secret")
    archive.link("vmlinuz", str(tmp_path / "secret"))
    with pytest.raises(ImageError, match="the image has no file /vmlinuz"):
        await store.boot_files(environment(archive.write(tmp_path / "image")), user="alice")


async def test_the_last_member_of_a_name_counts(store: FileImageStore, tmp_path: Path) -> None:
    archive = Archive()
    archive.link("vmlinuz", "nowhere")
    archive.file("vmlinuz", b"old")
    archive.file("vmlinuz", KERNEL)
    found = await store.boot_files(environment(archive.write(tmp_path / "image"), initrd=""), user="alice")
    assert found.kernel.read_bytes() == KERNEL


async def test_a_kernel_that_is_not_there_is_said_with_what_is(store: FileImageStore, tmp_path: Path) -> None:
    archive = Archive()
    archive.link("vmlinuz", "boot/vmlinuz-5")
    archive.file("boot/vmlinuz-6", KERNEL)
    with pytest.raises(ImageError) as caught:
        await store.boot_files(environment(archive.write(tmp_path / "image")), user="alice")
    assert str(caught.value) == (
        "debian version 3: the image has no file /vmlinuz (it leads to /boot/vmlinuz-5); it has /boot/vmlinuz-6"
    )


@pytest.mark.parametrize("compression", [Compression.NONE, Compression.GZIP, Compression.ZSTD])
async def test_an_image_that_its_owner_changes_after_the_proof_leaves_no_boot_files(
    store: FileImageStore, tmp_path: Path, compression: Compression, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or else they would be kept, and booted by all who deploy the image that they pretend to be from."""
    good, evil = Archive(), Archive()
    good.file("vmlinuz", KERNEL)
    evil.file("vmlinuz", b"KERNEL" * 1000)
    wanted = environment(good.write(tmp_path / "image", compression), initrd="")
    evil.write(tmp_path / "evil", compression)
    make = ImageCache.make_boot_files

    def change_first(*arguments: Any) -> BootFiles:
        (tmp_path / "image").write_bytes((tmp_path / "evil").read_bytes())
        return make(*arguments)

    monkeypatch.setattr(ImageCache, "make_boot_files", change_first)
    with pytest.raises(DigestDiffers):
        await store.boot_files(wanted, user="mallory")
    assert list((tmp_path.with_name(f"{tmp_path.name}-cache") / "boot").iterdir()) == []


async def test_a_few_packed_bytes_do_not_become_as_much_memory_as_they_stand_for(
    store: FileImageStore, tmp_path: Path
) -> None:
    image = tmp_path / "image"
    image.write_bytes(bz2.compress(bytes(128 << 20)))
    assert image.stat().st_size < 10_000
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match="the image has no file /vmlinuz"):
            await store.boot_files(environment(local(image, Compression.BZIP2), initrd=""), user="mallory")
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


async def test_links_in_a_circle_end(store: FileImageStore, tmp_path: Path) -> None:
    archive = Archive()
    archive.link("vmlinuz", "other")
    archive.link("other", "vmlinuz")
    with pytest.raises(ImageError, match="too many links"):
        await store.boot_files(environment(archive.write(tmp_path / "image")), user="alice")


@pytest.mark.parametrize("compression", list(Compression))
async def test_half_an_archive_is_one_sentence(store: FileImageStore, tmp_path: Path, compression: Compression) -> None:
    archive = Archive()
    archive.file("filler", os.urandom(300_000))
    archive.file("vmlinuz", KERNEL)
    archive.write(tmp_path / "image", compression)
    content = (tmp_path / "image").read_bytes()
    (tmp_path / "image").write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageError, match="debian version 3: "):
        await store.boot_files(environment(local(tmp_path / "image", compression)), user="alice")
    assert list((tmp_path.with_name(f"{tmp_path.name}-cache") / "boot").iterdir()) == []


async def test_boot_files_are_taken_out_once_and_survive_a_restart(
    store: FileImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Archive()
    archive.file("vmlinuz", KERNEL)
    wanted = environment(archive.write(tmp_path / "image"), initrd="")
    first = await store.boot_files(wanted, user="alice")
    monkeypatch.setattr("kadeploy_deployer.adapters.image_cache.extract", None)
    assert await store_of(tmp_path).boot_files(wanted, user="alice") == first
    monkeypatch.undo()
    first.kernel.write_bytes(b"spoilt")
    again = await store.boot_files(wanted, user="alice")
    assert again == first
    assert again.kernel.read_bytes() == KERNEL


@pytest.mark.parametrize(
    ("change", "words"),
    [({"kind": ImageKind.DD}, "is no tar archive"), ({"kernel_path": ""}, "names no kernel")],
)
async def test_what_has_no_kernel_to_take_is_said(
    store: FileImageStore, tmp_path: Path, change: dict[str, str], words: str
) -> None:
    archive = Archive()
    wanted = environment(archive.write(tmp_path / "image"))
    with pytest.raises(ImageError, match=words):
        await store.boot_files(replace(wanted, **change), user="alice")  # type: ignore[arg-type]
