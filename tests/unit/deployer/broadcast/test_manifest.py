"""The blocks of an image and their digests."""

import asyncio
import hashlib
import os
from pathlib import Path

import blake3
import pytest

from kadeploy_deployer.broadcast.manifest import (
    LARGEST_BLOCK,
    MOST_BLOCKS,
    SMALLEST_BLOCK,
    Manifest,
    Manifests,
    block_size_for,
    compute_manifest,
)
from kadeploy_deployer.ports import OpenedFile


def manifest_of(path: Path) -> Manifest:
    with OpenedFile.open(path) as file:
        return compute_manifest(file)


def test_an_empty_file_has_no_blocks(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    manifest = manifest_of(tmp_path / "file")
    assert (manifest.size, manifest.blocks, manifest.content) == (0, (), b"")
    assert manifest.digest == f"sha256:{hashlib.sha256().hexdigest()}"


def test_every_block_and_the_whole_are_named(tmp_path: Path) -> None:
    content = os.urandom(2 * SMALLEST_BLOCK + 5)
    (tmp_path / "file").write_bytes(content)
    manifest = manifest_of(tmp_path / "file")
    cuts = range(0, len(content), SMALLEST_BLOCK)
    assert manifest.size == len(content)
    assert manifest.blocks == tuple(blake3.blake3(content[cut : cut + SMALLEST_BLOCK]).digest() for cut in cuts)
    assert manifest.sha256 == hashlib.sha256(content).hexdigest()
    assert [manifest.length(index) for index in range(3)] == [SMALLEST_BLOCK, SMALLEST_BLOCK, 5]
    assert manifest.content == b"".join(manifest.blocks) + bytes(4096 - 96)
    assert manifest.proof == blake3.blake3(b"".join(manifest.blocks)).hexdigest()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, SMALLEST_BLOCK),
        (MOST_BLOCKS * SMALLEST_BLOCK, SMALLEST_BLOCK),
        (MOST_BLOCKS * SMALLEST_BLOCK + 1, 2 * SMALLEST_BLOCK),
        (1 << 50, LARGEST_BLOCK),
    ],
)
def test_blocks_grow_with_the_file_up_to_what_nodes_can_hold(size: int, expected: int) -> None:
    assert block_size_for(size) == expected


async def test_a_file_is_read_again_only_when_it_was_changed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    manifests = Manifests()
    with OpenedFile.open(path) as file:
        first = await manifests.of(file)
        assert await manifests.of(file) is first
        path.write_bytes(b"other")
        assert (await manifests.of(file)).sha256 == hashlib.sha256(b"other").hexdigest()


async def test_a_change_is_seen_although_size_and_time_are_put_back(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    manifests = Manifests()
    with OpenedFile.open(path) as file:
        await manifests.of(file)
        before = path.stat()
        await asyncio.sleep(0.02)  # a tick of the file system's clock
        path.write_bytes(b"two")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert (await manifests.of(file)).sha256 == hashlib.sha256(b"two").hexdigest()


async def test_a_file_that_is_closed_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    file = OpenedFile.open(tmp_path / "file")
    file.close()
    with pytest.raises(OSError, match="was closed"):
        await Manifests().of(file)
