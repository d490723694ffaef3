"""The store of images, on files, archives and an HTTP server of the test."""

import asyncio
import hashlib
import http.server
import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kadeploy_deployer.adapters.image_store import FileImageStore
from kadeploy_deployer.domain.snapshot import EnvironmentSnapshot, FileSnapshot
from kadeploy_deployer.domain.vocabulary import Compression, ImageKind
from kadeploy_deployer.ports import DigestDiffers, ImageError

pytestmark = pytest.mark.integration

KERNEL, INITRD = b"kernel" * 1000, b"initrd" * 2000


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def registered(uri: str, content: bytes, compression: Compression = Compression.NONE) -> FileSnapshot:
    return FileSnapshot(uri=uri, digest=digest_of(content), size_bytes=len(content), compression=compression)


def local(path: Path, compression: Compression = Compression.NONE) -> FileSnapshot:
    return registered(path.as_uri(), path.read_bytes(), compression)


@pytest.fixture
def store(tmp_path: Path) -> FileImageStore:
    return FileImageStore(tmp_path / "cache")


# --- Local files ---


async def test_a_local_file_is_given_as_it_is(store: FileImageStore, tmp_path: Path) -> None:
    file = tmp_path / "an image"
    file.write_bytes(b"content")
    assert await store.fetch(local(file)) == file


async def test_another_digest_names_both(store: FileImageStore, tmp_path: Path) -> None:
    file = tmp_path / "image"
    file.write_bytes(b"content")
    expected = local(file)
    file.write_bytes(b"CONTENT")
    with pytest.raises(DigestDiffers) as caught:
        await store.fetch(expected)
    for part in (digest_of(b"content"), digest_of(b"CONTENT"), file.as_uri()):
        assert part in str(caught.value)


async def test_another_size_names_both_digests_too(store: FileImageStore, tmp_path: Path) -> None:
    file = tmp_path / "image"
    file.write_bytes(b"content")
    with pytest.raises(DigestDiffers, match=r"\(7 bytes\) is found where sha256:\w+ \(8 bytes\) is reg"):
        await store.fetch(replace(local(file), size_bytes=8))


async def test_a_file_is_proved_once_while_it_is_unchanged(
    store: FileImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "image"
    file.write_bytes(b"content")
    expected = local(file)
    await store.fetch(expected)
    monkeypatch.setattr("kadeploy_deployer.adapters.image_store._digest_of", None)
    assert await store.fetch(expected) == file
    monkeypatch.undo()
    file.write_bytes(b"CONTENT")
    os.utime(file, ns=(1, 1))
    with pytest.raises(ImageError):
        await store.fetch(expected)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("file:///absent/image", "cannot be read on the deployer's host: No such file or directory"),
        ("file:///dev/null", "is no regular file"),
        ("file:///tmp", "is no regular file"),
        ("file://elsewhere/image", "only file, http and https are known"),
        ("ftp://elsewhere/image", "only file, http and https are known"),
        ("file:///a%00b", "cannot be read on the deployer's host"),
    ],
)
async def test_what_cannot_be_an_image_is_refused(store: FileImageStore, uri: str, words: str) -> None:
    with pytest.raises(ImageError) as caught:
        await store.fetch(registered(uri, b""))
    assert words in str(caught.value)


async def test_files_outside_of_the_roots_are_refused_also_through_links(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.write_bytes(b"secret")
    (inside / "image").write_bytes(b"image")
    (inside / "link").symlink_to(outside)
    store = FileImageStore(tmp_path / "cache", file_roots=[inside])
    assert await store.fetch(local(inside / "image")) == inside / "image"
    for path in (outside, inside / "link", inside / ".." / "outside"):
        with pytest.raises(ImageError, match="lies outside of the directories"):
            await store.fetch(registered(f"file://{path}", b"secret"))


# --- HTTP ---


class Site:
    """An HTTP server with one directory; counts what is asked of it."""

    def __init__(self, directory: Path) -> None:
        site = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments: object) -> None:
                super().__init__(*arguments, directory=str(directory))  # type: ignore[arg-type]

            def do_GET(self) -> None:
                site.asked.append(self.path)
                if self.path == "/to-a-file":
                    self.send_response(302)
                    self.send_header("Location", "file:///etc/hostname")
                    self.end_headers()
                    return
                if self.path == "/short":
                    self.send_response(200)
                    self.send_header("Content-Length", "100")
                    self.end_headers()
                    self.wfile.write(b"only this")
                    return
                super().do_GET()

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - named so above
                return

        self.asked: list[str] = []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "image").write_bytes(b"content")
    site = Site(tmp_path / "site")
    yield site
    site.server.shutdown()
    site.server.server_close()


async def test_a_remote_file_is_brought_once_for_all_who_want_it(store: FileImageStore, site: Site) -> None:
    file = registered(f"{site.url}/image", b"content")
    paths = await asyncio.gather(*(store.fetch(file) for _ in range(3)))
    assert {path.read_bytes() for path in paths} == {b"content"}
    assert len(set(paths)) == 1
    assert site.asked == ["/image"]


async def test_what_was_spoilt_in_the_cache_is_brought_again(store: FileImageStore, site: Site) -> None:
    file = registered(f"{site.url}/image", b"content")
    path = await store.fetch(file)
    path.write_bytes(b"CONTENT")
    os.utime(path, ns=(1, 1))
    assert (await store.fetch(file)).read_bytes() == b"content"


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("/image", b"CONTENT", f"{digest_of(b'content')} (7 bytes) is found where {digest_of(b'CONTENT')}"),
        ("/image", b"conten", "has more than the 6 bytes that are registered"),
        ("/absent", b"", "the server answered 404"),
        ("/short", b"x" * 100, "it broke off after 9 of 100 bytes"),
        ("/to-a-file", b"", "cannot be fetched"),
    ],
)
async def test_a_download_that_is_not_the_file_leaves_nothing(
    site: Site, tmp_path: Path, path: str, content: bytes, words: str
) -> None:
    store = FileImageStore(tmp_path / "cache")
    with pytest.raises(ImageError) as caught:
        await store.fetch(registered(f"{site.url}{path}", content))
    assert words in str(caught.value)
    assert list((tmp_path / "cache" / "downloads").iterdir()) == []


async def test_a_server_that_is_not_there_is_one_sentence(store: FileImageStore) -> None:
    with pytest.raises(ImageError, match=r"http://127.0.0.1:1/image cannot be fetched: .*refused"):
        await store.fetch(registered("http://127.0.0.1:1/image", b""))


async def test_a_digest_that_is_none_never_becomes_a_path(store: FileImageStore, site: Site) -> None:
    file = replace(registered(f"{site.url}/image", b"content"), digest="sha256:../../x")
    with pytest.raises(ImageError, match="no SHA-256 digest"):
        await store.fetch(file)


async def test_only_the_last_used_downloads_are_kept(site: Site, tmp_path: Path) -> None:
    store = FileImageStore(tmp_path / "cache", kept_files=2)
    for number in range(4):
        content = b"%d" % number
        (tmp_path / "site" / f"image{number}").write_bytes(content)
        path = await store.fetch(registered(f"{site.url}/image{number}", content))
        os.utime(path, (number, number))
    kept = {path.read_bytes() for path in (tmp_path / "cache" / "downloads").iterdir()}
    assert kept == {b"2", b"3"}


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
    found = await store.boot_files(environment(archive.write(tmp_path / "image", compression)))
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
    found = await store.boot_files(environment(archive.write(tmp_path / "image"), initrd=""))
    assert found.kernel.read_bytes() == KERNEL
    assert (found.initrd, found.initrd_digest) == (None, "")


async def test_a_link_never_leads_to_a_file_of_this_host(store: FileImageStore, tmp_path: Path) -> None:
    archive = Archive()
    (tmp_path / "secret").write_bytes(b"secret")
    archive.link("vmlinuz", str(tmp_path / "secret"))
    with pytest.raises(ImageError, match="the image has no file /vmlinuz"):
        await store.boot_files(environment(archive.write(tmp_path / "image")))


async def test_the_last_member_of_a_name_counts(store: FileImageStore, tmp_path: Path) -> None:
    archive = Archive()
    archive.link("vmlinuz", "nowhere")
    archive.file("vmlinuz", b"old")
    archive.file("vmlinuz", KERNEL)
    found = await store.boot_files(environment(archive.write(tmp_path / "image"), initrd=""))
    assert found.kernel.read_bytes() == KERNEL


async def test_a_kernel_that_is_not_there_is_said_with_what_is(store: FileImageStore, tmp_path: Path) -> None:
    archive = Archive()
    archive.link("vmlinuz", "boot/vmlinuz-5")
    archive.file("boot/vmlinuz-6", KERNEL)
    with pytest.raises(ImageError) as caught:
        await store.boot_files(environment(archive.write(tmp_path / "image")))
    assert str(caught.value) == (
        "debian version 3: the image has no file /vmlinuz (it leads to /boot/vmlinuz-5); it has /boot/vmlinuz-6"
    )


async def test_links_in_a_circle_end(store: FileImageStore, tmp_path: Path) -> None:
    archive = Archive()
    archive.link("vmlinuz", "other")
    archive.link("other", "vmlinuz")
    with pytest.raises(ImageError, match="too many links"):
        await store.boot_files(environment(archive.write(tmp_path / "image")))


@pytest.mark.parametrize("compression", list(Compression))
async def test_half_an_archive_is_one_sentence(store: FileImageStore, tmp_path: Path, compression: Compression) -> None:
    archive = Archive()
    archive.file("filler", os.urandom(300_000))
    archive.file("vmlinuz", KERNEL)
    archive.write(tmp_path / "image", compression)
    content = (tmp_path / "image").read_bytes()
    (tmp_path / "image").write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageError, match="debian version 3: "):
        await store.boot_files(environment(local(tmp_path / "image", compression)))
    assert list((tmp_path / "cache" / "boot").iterdir()) == []


async def test_boot_files_are_taken_out_once_and_survive_a_restart(
    store: FileImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Archive()
    archive.file("vmlinuz", KERNEL)
    wanted = environment(archive.write(tmp_path / "image"), initrd="")
    first = await store.boot_files(wanted)
    monkeypatch.setattr("kadeploy_deployer.adapters.image_store.extract", None)
    assert await FileImageStore(tmp_path / "cache").boot_files(wanted) == first
    monkeypatch.undo()
    first.kernel.write_bytes(b"spoilt")
    again = await store.boot_files(wanted)
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
        await store.boot_files(replace(wanted, **change))  # type: ignore[arg-type]
