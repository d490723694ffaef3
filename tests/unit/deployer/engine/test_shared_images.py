"""The files of a deployment: opened once for all nodes, for its owner, and closed with it."""

import asyncio
from pathlib import Path

import pytest

from kadeploy_deployer.engine.shared_images import SharedImages
from kadeploy_deployer.ports import DigestDiffers, ImageError
from tests.fakes.fake_image_store import FakeImageStore

CONTENT = b"an archive " * 100_000


@pytest.fixture
def store(tmp_path: Path) -> FakeImageStore:
    return FakeImageStore(tmp_path)


async def test_a_file_is_opened_once_for_its_owner_and_stays_open_until_the_end(store: FakeImageStore) -> None:
    file = store.add("file:///a", CONTENT)
    images = SharedImages(store)

    async def first_bytes() -> bytes:
        async with images.fetch(file, user="alice") as opened:
            return opened.read_at(0, 10)

    assert await asyncio.gather(*(first_bytes() for _ in range(20))) == [CONTENT[:10]] * 20
    store.paths[file.uri].unlink()
    async with images.fetch(file, user="alice") as opened:
        assert opened.size() == len(CONTENT)
    assert (store.fetched, store.users) == ([file.uri], ["alice"])
    await images.close()
    with pytest.raises(OSError, match="was closed"):
        opened.read_at(0, 1)


async def test_a_file_that_could_not_be_opened_is_asked_for_again(store: FakeImageStore) -> None:
    file = store.add("file:///a", CONTENT)
    store.broken[file.uri] = "the server is away"
    images = SharedImages(store)
    with pytest.raises(ImageError, match="the server is away"):
        async with images.fetch(file, user="alice"):
            pass
    store.broken.clear()
    async with images.fetch(file, user="alice"):
        pass
    await images.close()


async def test_an_archive_that_is_changed_while_it_is_read_has_no_end(store: FakeImageStore) -> None:
    file = store.add("file:///a", CONTENT)
    images = SharedImages(store)
    async with images.read(file, user="alice") as content:
        assert b"".join([part async for part in content]) == CONTENT
    read: list[bytes] = []

    async def read_and_change() -> None:
        async with images.read(file, user="alice") as content:
            async for part in content:
                read.append(part)
                store.paths[file.uri].write_bytes(CONTENT.upper())

    with pytest.raises(DigestDiffers, match="file:///a was changed while it was being sent"):
        await read_and_change()
    assert 0 < len(b"".join(read)) < len(CONTENT)
    await images.close()


async def test_an_address_is_refused_as_by_the_store_itself(store: FakeImageStore) -> None:
    file = store.add("file:///a", CONTENT)
    store.refused[file.uri] = "it lies elsewhere"
    with pytest.raises(ImageError, match="it lies elsewhere"):
        SharedImages(store).check(file)
