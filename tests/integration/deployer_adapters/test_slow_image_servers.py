"""A server that is slow, or says nothing, holds up its own file alone, and that not for long."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from kadeploy_deployer.adapters.image_download import DownloadLimits
from kadeploy_deployer.domain.snapshot import FileSnapshot
from tests.integration.deployer_adapters.fetching import (
    CONTENT,
    ENDLESS,
    QUICK,
    Make,
    at,
    content_of,
    digest_of,
    registered,
    words,
)
from tests.integration.deployer_adapters.http_site import HttpSite

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    "head",
    [
        ENDLESS,
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: ",
    ],
    ids=["announced", "unannounced", "chunked", "in the head"],
)
async def test_a_server_that_gives_a_byte_from_time_to_time_is_given_up(
    make: Make, site: HttpSite, head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kadeploy_deployer.adapters.image_download._ANSWER_SECONDS", 1.0)
    site.drips["/drip"] = (head, 0.2)
    began = time.monotonic()
    file = FileSnapshot(uri=at(site, "/drip"), digest=digest_of(b""), size_bytes=1 << 30)
    told = await words(make(f"127.0.0.1:{site.port}"), file)
    assert "cannot be fetched" in told
    assert time.monotonic() - began < 5


async def test_a_server_that_is_too_slow_is_told_so(make: Make, site: HttpSite) -> None:
    site.drips["/drip"] = (ENDLESS, 0.1)
    file = FileSnapshot(uri=at(site, "/drip"), digest=digest_of(b""), size_bytes=1 << 30)
    assert await words(make(f"127.0.0.1:{site.port}"), file) == (
        f"{at(site, '/drip')} cannot be fetched: its server gives less than 1000 bytes per second"
    )


async def test_a_server_that_says_nothing_is_given_up(
    make: Make, site: HttpSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kadeploy_deployer.adapters.image_download._SILENCE_SECONDS", 0.3)
    site.drips["/drip"] = (ENDLESS, 60.0)
    file = FileSnapshot(uri=at(site, "/drip"), digest=digest_of(b""), size_bytes=1 << 30)
    told = await words(make(f"127.0.0.1:{site.port}"), file)
    assert told.endswith("cannot be fetched: its server says nothing any more")


async def test_the_time_of_the_whole_is_bounded_by_the_size(make: Make, site: HttpSite) -> None:
    site.drips["/drip"] = (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", 0.01)
    file = FileSnapshot(uri=at(site, "/drip"), digest=digest_of(b""), size_bytes=100)
    limits = replace(QUICK, rate=1000, window=0.2)
    told = await words(make(f"127.0.0.1:{site.port}", limits=limits), file)
    assert "gives less than" in told or told.endswith("it was not complete within 0 s")


async def test_a_name_that_nobody_answers_for_is_given_up_and_leaves_the_loop_free(
    make: Make, site: HttpSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asleep(_host: str, _port: int) -> Sequence[str]:
        time.sleep(1.0)
        return ["127.0.0.1"]

    monkeypatch.setattr("kadeploy_deployer.adapters.image_hosts.LONGEST_LOOKUP", 0.2)
    store = make(f"images.test:{site.port}")
    store._downloads.hosts._lookup = asleep
    began = time.monotonic()
    told = await words(store, registered(at(site, host="images.test")))
    assert told.endswith("images.test was not resolved within 0.2 s")
    assert time.monotonic() - began < 0.9


async def test_slow_servers_of_one_user_leave_places_to_the_others(make: Make, site: HttpSite) -> None:
    limits = DownloadLimits(rate=1, window=60, in_all=4, per_user=2)
    store = make(f"127.0.0.1:{site.port}", limits=limits)
    site.drips = {f"/drip{number}": (ENDLESS, 0.1) for number in range(10)}
    slow = [
        asyncio.create_task(
            content_of(store, FileSnapshot(uri=at(site, path), digest=digest_of(b""), size_bytes=1 << 30), "mallory")
        )
        for path in site.drips
    ]
    await asyncio.sleep(0.3)
    assert site.connections == 2
    async with asyncio.timeout(5):
        assert await content_of(store, registered(at(site)), "alice") == CONTENT
    for task in slow:
        task.cancel()
    assert all(
        isinstance(ended, asyncio.CancelledError) for ended in await asyncio.gather(*slow, return_exceptions=True)
    )
    assert site.most_connections <= 3


async def test_who_gives_up_ends_the_download_at_once(make: Make, site: HttpSite, tmp_path: Path) -> None:
    site.drips["/drip"] = (ENDLESS, 0.05)
    store = make(f"127.0.0.1:{site.port}", limits=DownloadLimits())
    file = FileSnapshot(uri=at(site, "/drip"), digest=digest_of(b""), size_bytes=1 << 30)
    fetching = asyncio.create_task(content_of(store, file))
    await site.has(1)
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    assert list((tmp_path / "cache" / "downloads").iterdir()) == []
    await site.has(0)
