"""ImageUploadService over a real server: who may upload what, and what becomes of it."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy_deployer.adapters.image_directories import ImageDirectories
from kadeploy_deployer.adapters.image_download import ImageDownloads
from kadeploy_deployer.adapters.image_hosts import ImageHosts
from kadeploy_deployer.adapters.image_store import FileImageStore
from kadeploy_deployer.adapters.upload_store import UploadStore
from kadeploy_deployer.domain.snapshot import FileSnapshot
from kadeploy_deployer.domain.upload import UploadAddress
from kadeploy_deployer.engine.upload_collector import UploadCollector, named_addresses
from kadeploy_deployer.ports import ImageError
from kadeploy_edge.errors import Unreachable
from kadeploy_edge.status import RemoteError, from_rpc_error
from tests.fakes.manual_clock import ManualClock
from tests.integration.deployer.conftest import Site

pytestmark = pytest.mark.integration

CONTENT = b"an image of one's own" * 5000
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
Message = deployer_service_pb2.UploadImageRequest


def header(**changes: object) -> deployer_service_pb2.UploadImageRequest:
    given: dict[str, object] = {"digest": DIGEST, "size_bytes": len(CONTENT), **changes}
    return Message(header=deployer_service_pb2.UploadHeader(**given))  # type: ignore[arg-type]


async def messages(*parts: deployer_service_pb2.UploadImageRequest) -> AsyncIterator[object]:
    for part in parts:
        yield part


def pieces(content: bytes) -> list[deployer_service_pb2.UploadImageRequest]:
    return [Message(content=content[start : start + 40_000]) for start in range(0, len(content), 40_000)]


async def upload(site: Site, user: str, *parts: object) -> deployer_service_pb2.UploadedImage:
    return await site.uploads(user).UploadImage(messages(*parts))  # type: ignore[arg-type]


async def refused(site: Site, user: str, *parts: object) -> RemoteError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await upload(site, user, *parts)
    return from_rpc_error(caught.value)


async def find(site: Site, user: str, uri: str = "", owner: str = "") -> deployer_service_pb2.ResolveImageResponse:
    request = deployer_service_pb2.ResolveImageRequest(uri=uri, digest=DIGEST, size_bytes=len(CONTENT), owner=owner)
    return await site.uploads(user).ResolveImage(request)


async def test_an_upload_in_two_calls_is_whole_and_is_its_owner_s_alone(site: Site) -> None:
    parts = pieces(CONTENT)
    first = await upload(site, "alice", header(), parts[0])
    assert (first.received_bytes, first.uri) == (40_000, "")
    assert (await find(site, "alice")).received_bytes == 40_000
    error = await refused(site, "alice", header())
    assert (error.reason, error.metadata["received_bytes"]) == ("UPLOAD_OFFSET", "40000")
    whole = await upload(site, "alice", header(offset_bytes=40_000), *parts[1:])
    assert whole.uri == f"upload:///alice/sha256-{DIGEST.removeprefix('sha256:')}-{len(CONTENT)}"
    assert (await find(site, "alice")).uri == whole.uri
    assert (await find(site, "bob")).uri == ""
    again = await upload(site, "alice", header())
    assert again.uri == whole.uri


async def test_a_path_that_the_deployer_can_read_stays_and_others_say_nothing_of_what_is_there(site: Site) -> None:
    there = site.images.add("file:///images/mine.tar", CONTENT)
    assert (await find(site, "alice", uri=there.uri)).uri == there.uri
    for uri in ("file:///images/other.tar", "file:///etc/passwd"):
        assert (await find(site, "alice", uri=uri)).uri == ""


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([], "INVALID_UPLOAD"),
        ([Message(content=b"x")], "INVALID_UPLOAD"),
        ([header(digest="md5:00")], "INVALID_UPLOAD"),
        ([header(size_bytes=0)], "INVALID_UPLOAD"),
        ([header(offset_bytes=-1)], "INVALID_UPLOAD"),
        ([header(owner="bob")], "NOT_ADMINISTRATOR"),
        ([header(size_bytes=1 << 40)], "UPLOAD_TOO_LARGE"),
        ([header(), header()], "INVALID_UPLOAD"),
        ([header(size_bytes=3), Message(content=b"four")], "UPLOAD_OFFSET"),
        ([header(size_bytes=4), Message(content=b"four")], "UPLOAD_DIGEST_MISMATCH"),
    ],
)
async def test_what_does_not_come_as_it_should_is_refused(site: Site, parts: list[object], reason: str) -> None:
    assert (await refused(site, "alice", *parts)).reason == reason


async def test_uploads_are_listed_and_removed_by_their_owner_and_by_administrators(site: Site) -> None:
    await upload(site, "alice", header(), *pieces(CONTENT))
    listed = await site.uploads("alice").ListUploadedImages(deployer_service_pb2.ListUploadedImagesRequest())
    assert [(each.owner, each.digest) for each in listed.images] == [("alice", DIGEST)]
    request = deployer_service_pb2.DeleteUploadedImageRequest(digest=DIGEST, owner="alice")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await site.uploads("bob").DeleteUploadedImage(request)
    assert from_rpc_error(caught.value).reason == "NOT_ADMINISTRATOR"
    site.inventory.addresses = frozenset({listed.images[0].uri})
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await site.uploads("alice").DeleteUploadedImage(request)
    assert from_rpc_error(caught.value).reason == "UPLOAD_IN_USE"
    site.inventory.addresses = frozenset()
    await site.uploads("root").DeleteUploadedImage(request)
    assert (await find(site, "alice")).uri == ""


async def test_an_uploaded_image_is_fetched_like_any_other_by_its_registered_digest(tmp_path: Path) -> None:
    uploads = UploadStore(tmp_path / "u", largest=1 << 30, quota=1 << 30)
    uploads.prepare()
    address = UploadAddress.of(owner="alice", digest=DIGEST, size=len(CONTENT))
    part = uploads.begin(address, 0)
    part.write(CONTENT)
    part.finish()
    part.close()
    store = FileImageStore(
        tmp_path / "cache", directories=ImageDirectories([]), downloads=ImageDownloads(ImageHosts()), uploads=uploads
    )
    file = FileSnapshot(uri=address.uri, digest=DIGEST, size_bytes=len(CONTENT))
    async with store.fetch(file, user="alice") as opened:
        assert opened.read_at(0, opened.size()) == CONTENT
    other = FileSnapshot(uri=address.uri, digest=f"sha256:{'0' * 64}", size_bytes=len(CONTENT))
    with pytest.raises(ImageError, match="no address of the registered upload"):
        store.check(other)
    uploads.remove(address)
    with pytest.raises(ImageError, match="alice has uploaded nothing"):
        async with store.fetch(file, user="alice"):
            pass


async def test_nothing_is_collected_while_nobody_can_say_what_is_named(site: Site, tmp_path: Path) -> None:
    uploads = UploadStore(tmp_path / "u", largest=1 << 30, quota=1 << 30)
    uploads.prepare()
    address = UploadAddress.of(owner="alice", digest=DIGEST, size=len(CONTENT))
    part = uploads.begin(address, 0)
    part.write(CONTENT)
    part.finish()
    part.close()

    def collector() -> UploadCollector:
        return UploadCollector(
            uploads=uploads,
            named=lambda: named_addresses(inventory=site.inventory, store=site.store),
            clock=ManualClock(),
            now=lambda: 1e12,
            keep_hours=1,
        )

    site.inventory.error = Unreachable("the inventory is away")
    with pytest.raises(Unreachable):
        await collector().collect()
    site.inventory.error = None
    site.inventory.addresses = frozenset({address.uri})
    await collector().collect()
    assert uploads.find(address).is_whole
    site.inventory.addresses = frozenset()
    await collector().collect()
    assert uploads.find(address).received == 0
