"""The stream in a node's memory: all of it, or a window."""

import os
from collections.abc import Iterator

import pytest

from kabroadcast.store import LEAST_BLOCKS, Store

BLOCK, MANIFEST = 1000, 4096


@pytest.fixture
def stores() -> Iterator[list[Store]]:
    made: list[Store] = []
    yield made
    for store in made:
        os.close(store.descriptor)


def made(stores: list[Store], *, size: int, room: int) -> Store:
    stores.append(Store(manifest_size=MANIFEST, size=size, block_size=BLOCK, room=room))
    return stores[-1]


def test_what_fits_stays_whole(stores: list[Store]) -> None:
    store = made(stores, size=10 * BLOCK, room=MANIFEST + 10 * BLOCK)
    content = os.urandom(MANIFEST + 10 * BLOCK)
    assert store.whole
    assert store.room() == len(content)
    for start in range(0, len(content), 777):
        store.add(memoryview(content)[start : start + 777])
    assert store.position == store.total == len(content)
    assert store.read(0, len(content)) == content
    assert store.has(0)


@pytest.mark.parametrize(("room", "blocks"), [(0, LEAST_BLOCKS), (MANIFEST + 6 * BLOCK + 5, 6)])
def test_what_does_not_fit_goes_through_a_window(stores: list[Store], room: int, blocks: int) -> None:
    store = made(stores, size=10 * BLOCK, room=room)
    content = os.urandom(MANIFEST + 10 * BLOCK)
    assert not store.whole
    assert store.room() == MANIFEST + blocks * BLOCK
    store.add(memoryview(content)[: store.room()])
    assert store.room() == 0
    store.low = MANIFEST + 3 * BLOCK + 1
    assert store.room() == min(10 * BLOCK, (blocks + 3) * BLOCK + 1) - blocks * BLOCK
    room_now = store.room()
    store.add(memoryview(content)[store.position : store.position + room_now])
    assert store.read(store.low, store.position - store.low) == content[store.low : store.position]
    assert store.read(0, MANIFEST) == content[:MANIFEST]
    assert not store.has(0)
    assert not store.has(store.low - 1)
    assert store.has(store.low)


def test_bytes_lie_side_by_side_up_to_the_end_of_the_window(stores: list[Store]) -> None:
    store = made(stores, size=10 * BLOCK, room=0)
    assert store.extent(MANIFEST - 10, 500) == (MANIFEST - 10, 10)
    assert store.extent(MANIFEST + 3 * BLOCK, 5 * BLOCK) == (MANIFEST + 3 * BLOCK, BLOCK)
    assert store.extent(MANIFEST + 4 * BLOCK, BLOCK) == (MANIFEST, BLOCK)


def test_an_empty_file_is_complete_at_once(stores: list[Store]) -> None:
    stores.append(Store(manifest_size=0, size=0, block_size=BLOCK, room=0))
    assert (stores[0].total, stores[0].position, stores[0].room(), stores[0].whole) == (0, 0, 0, True)
