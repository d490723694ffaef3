"""Files from HTTP servers: brought once, proved, kept; or refused, with nothing left."""

import asyncio
import io
import os
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kadeploy_deployer.domain.snapshot import EnvironmentSnapshot, FileSnapshot
from kadeploy_deployer.ports import DigestDiffers, ImageError
from tests.integration.deployer_adapters.fetching import (
    CONTENT,
    QUICK,
    Make,
    Names,
    at,
    content_of,
    digest_of,
    registered,
    words,
)
from tests.integration.deployer_adapters.http_site import HttpSite

pytestmark = pytest.mark.integration


async def test_a_file_of_a_named_server_is_brought_once_for_all_who_want_it(make: Make, site: HttpSite) -> None:
    store = make(f"127.0.0.1:{site.port}")
    file = registered(at(site))
    found = await asyncio.gather(*(content_of(store, file, user) for user in ("alice", "bob", "carol")))
    assert set(found) == {CONTENT}
    assert site.asked == ["/image"]
    assert await content_of(store, file) == CONTENT
    assert site.asked == ["/image"]


async def test_the_server_is_asked_by_its_name_at_the_address_that_was_looked_up(
    make: Make, site: HttpSite, names: Names
) -> None:
    names.known["images.test"] = [["127.0.0.1"]]
    store = make(f"images.test:{site.port}")
    assert await content_of(store, registered(at(site, host="images.test"))) == CONTENT
    assert site.hosts == [f"images.test:{site.port}"]


async def test_what_was_spoilt_in_the_cache_is_brought_again(make: Make, site: HttpSite, tmp_path: Path) -> None:
    store = make(f"127.0.0.1:{site.port}")
    file = registered(at(site))
    await content_of(store, file)
    [kept] = (tmp_path / "cache" / "downloads").iterdir()
    kept.write_bytes(b"CONTENT")
    assert await content_of(store, file) == CONTENT
    assert site.asked == ["/image", "/image"]


async def test_a_file_in_hand_outlives_its_place_in_the_cache(make: Make, site: HttpSite, tmp_path: Path) -> None:
    store = make(f"127.0.0.1:{site.port}")
    async with store.fetch(registered(at(site)), user="alice") as opened:
        for path in (tmp_path / "cache" / "downloads").iterdir():
            path.unlink()
        assert opened.read_at(0, 7) == b"content"


async def test_who_knows_but_the_digest_of_a_file_gets_nothing_from_the_cache(make: Make, site: HttpSite) -> None:
    store = make(f"127.0.0.1:{site.port}")
    await content_of(store, registered(at(site)))
    assert "the server answered 404" in await words(store, registered(at(site, "/of-mallory")), "mallory")
    kept = make()
    assert "this site names no servers" in await words(kept, registered(at(site)))


async def test_the_boot_files_of_an_image_are_for_those_who_name_its_address(make: Make, site: HttpSite) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        member = tarfile.TarInfo("vmlinuz")
        member.size = 6
        archive.addfile(member, io.BytesIO(b"kernel"))
    site.bodies["/tar"] = made.getvalue()
    store = make(f"127.0.0.1:{site.port}")
    image = registered(at(site, "/tar"), made.getvalue())
    environment = EnvironmentSnapshot(name="debian", version=1, owner="alice", image=image, kernel_path="/vmlinuz")
    found = await store.boot_files(environment, user="alice")
    assert found.kernel.read_bytes() == b"kernel"
    stolen = replace(environment, image=replace(image, uri=at(site, "/of-mallory")))
    with pytest.raises(ImageError, match="the server answered 404"):
        await store.boot_files(stolen, user="mallory")


async def test_only_the_last_used_downloads_are_kept(make: Make, site: HttpSite, tmp_path: Path) -> None:
    store = make(f"127.0.0.1:{site.port}", kept_files=2)
    downloads = tmp_path / "cache" / "downloads"
    for number in range(4):
        content = b"%d" % number
        site.bodies[f"/{number}"] = content
        before = set(downloads.glob("*"))
        await content_of(store, registered(at(site, f"/{number}"), content))
        for path in set(downloads.iterdir()) - before:
            os.utime(path, (number, number))
    assert {path.read_bytes() for path in downloads.iterdir()} == {b"2", b"3"}


async def test_old_downloads_make_room_for_a_new_one_and_one_without_room_is_refused(
    make: Make, site: HttpSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make(f"127.0.0.1:{site.port}")
    downloads = tmp_path / "cache" / "downloads"
    for number in range(3):
        site.bodies[f"/{number}"] = b"%d" % number
        await content_of(store, registered(at(site, f"/{number}"), b"%d" % number))

    @dataclass
    class Disk:
        total: int = 1 << 40

        @property
        def free(self) -> int:
            return (2 << 30) - len(list(downloads.iterdir())) * (1 << 30) // 2

    monkeypatch.setattr("kadeploy_deployer.adapters.image_cache.shutil.disk_usage", lambda _: Disk())
    assert await content_of(store, registered(at(site))) == CONTENT
    assert len(list(downloads.iterdir())) == 2
    assert "cannot be kept on the deployer's host: No space left on device" in await words(
        store, FileSnapshot(uri=at(site), digest=digest_of(b"large"), size_bytes=3 << 30)
    )


async def test_nothing_of_a_download_is_work_of_the_loop_s_own_threads(
    make: Make, site: HttpSite, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    def used(*_: object) -> None:
        raise AssertionError("the default executor was used")

    monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", used)
    names.known["images.test"] = [["127.0.0.1"]]
    store = make(f"images.test:{site.port}")
    assert await content_of(store, registered(at(site, host="images.test"))) == CONTENT


# --- What is not ---


@pytest.mark.parametrize(
    ("path", "content", "said"),
    [
        ("/image", CONTENT[:-7] + b"CONTENT", f"{digest_of(CONTENT)} ({len(CONTENT)} bytes) is found where"),
        ("/image", CONTENT + b"x", f"{digest_of(CONTENT)} ({len(CONTENT)} bytes) is found where"),
        ("/image", b"conten", "has more than the 6 bytes that are registered"),
        ("/unannounced", b"conten", "has more than the 6 bytes that are registered"),
        ("/absent", b"", "the server answered 404 Not Found"),
        ("/partial", b"x" * 100, "the server answered 206"),
        ("/short", b"x" * 100, "it broke off after 9 of 100 bytes"),
        ("/no-http", b"", "cannot be fetched"),
        ("/nothing", b"", "cannot be fetched"),
    ],
)
async def test_a_download_that_is_not_the_file_is_refused(
    make: Make, site: HttpSite, path: str, content: bytes, said: str
) -> None:
    site.raw = {
        "/short": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
        "/unannounced": b"HTTP/1.1 200 OK\r\n\r\n" + CONTENT,
        "/partial": b"HTTP/1.1 206 Partial Content\r\nContent-Length: 1\r\n\r\nx",
        "/no-http": b"SSH-2.0-OpenSSH_9.2\r\n",
        "/nothing": b"",
    }
    store = make(f"127.0.0.1:{site.port}")
    assert said in await words(store, registered(at(site, path), content))


async def test_a_download_that_breaks_off_goes_on_from_there(
    make: Make, site: HttpSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kadeploy_deployer.adapters.image_download._BREAK_SECONDS", 0.01)
    content = bytes(range(256)) * 40
    site.breaking["/image.tar"] = (content, 4000)
    file = registered(f"http://127.0.0.1:{site.port}/image.tar", content)
    async with make(f"127.0.0.1:{site.port}").fetch(file, user="alice") as opened:
        assert opened.read_at(0, opened.size()) == content
    assert site.ranges == ["", "bytes=4000-", "bytes=8000-"]
    site.breaking["/endless"] = (content, 1)
    with pytest.raises(ImageError, match="broke off after 6 of"):
        async with make(f"127.0.0.1:{site.port}").fetch(
            registered(f"http://127.0.0.1:{site.port}/endless", content), user="alice"
        ):
            pass


async def test_a_download_that_failed_leaves_nothing(make: Make, site: HttpSite, tmp_path: Path) -> None:
    store = make(f"127.0.0.1:{site.port}")
    for file in (registered(at(site), b"x"), registered(at(site, "/absent"))):
        await words(store, file)
    assert list((tmp_path / "cache" / "downloads").iterdir()) == []


async def test_another_digest_and_more_than_registered_are_a_changed_file(make: Make, site: HttpSite) -> None:
    store = make(f"127.0.0.1:{site.port}")
    for content in (b"x" * len(CONTENT), b"x"):
        with pytest.raises(DigestDiffers):
            await content_of(store, registered(at(site), content))


async def test_a_server_that_is_not_there_is_one_sentence(make: Make) -> None:
    assert await words(make("127.0.0.1:1"), registered("http://127.0.0.1:1/image")) == (
        "http://127.0.0.1:1/image cannot be fetched: Connection refused"
    )


async def test_a_digest_that_is_none_is_refused(make: Make, site: HttpSite) -> None:
    file = replace(registered(at(site)), digest="sha256:../../x")
    assert "no SHA-256 digest" in await words(make(f"127.0.0.1:{site.port}"), file)


async def test_a_file_larger_than_the_site_allows_is_not_asked_for(make: Make, site: HttpSite) -> None:
    store = make(f"127.0.0.1:{site.port}", limits=replace(QUICK, largest=1000))
    assert await words(store, registered(at(site))) == (
        f"{at(site)} cannot be fetched: {len(CONTENT)} bytes are registered, at most 1000 are allowed"
    )
    assert site.asked == []
