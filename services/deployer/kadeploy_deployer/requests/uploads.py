"""Finding, receiving, listing and removing uploads."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from kadeploy_deployer.domain.errors import NotAdministrator
from kadeploy_deployer.domain.snapshot import FileSnapshot
from kadeploy_deployer.domain.upload import (
    InvalidUpload,
    Upload,
    UploadAddress,
    UploadInUse,
    UploadNotFound,
    UploadsDisabled,
)
from kadeploy_deployer.files.file_threads import FileThreads
from kadeploy_deployer.ports import ImageError, ImageStore
from kadeploy_deployer.ports.uploads import UploadKeeper
from kadeploy_deployer.requests.deployment_request import Actor

LOOK_SECONDS = 120.0
"""For reading a file whose digest is asked for."""
AT_ONCE, AT_ONCE_PER_USER = 16, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Where a content can be read (empty: nowhere), and how much of it was uploaded."""

    uri: str
    received: int
    uploads_allowed: bool


class Uploads:
    """What can be done with uploads.

    Args of the constructor:
        keeper: keeps them; None: the site takes none.
        images: says whether a file can be read where it is.
        named: returns the addresses that environments and running deployments name.
    """

    def __init__(
        self, *, keeper: UploadKeeper | None, images: ImageStore, named: Callable[[], Awaitable[frozenset[str]]]
    ) -> None:
        self._keeper, self._images, self._named = keeper, images, named
        self._threads = FileThreads(in_all=AT_ONCE, per_user=AT_ONCE_PER_USER)

    async def find(self, uri: str, *, digest: str, size: int, owner: str, actor: Actor) -> Found:
        """Returns where a content is."""
        address = UploadAddress.of(owner=_owner(owner, actor), digest=digest, size=size)
        keeper = self._keeper
        if uri and await self._can_read(uri, address, actor):
            return Found(uri=uri, received=0, uploads_allowed=keeper is not None)
        if keeper is None:
            return Found(uri="", received=0, uploads_allowed=False)
        upload = await self._threads.run(lambda _: keeper.find(address), user=actor.user)
        where = address.uri if upload.is_whole else ""
        return Found(uri=where, received=upload.received, uploads_allowed=True)

    async def receive(
        self, content: AsyncIterator[bytes], *, digest: str, size: int, offset: int, owner: str, actor: Actor
    ) -> Upload:
        """Receives a file, or a part of it; what came is kept however this ends."""
        address = UploadAddress.of(owner=_owner(owner, actor), digest=digest, size=size)
        keeper = self._present()
        if offset < 0:
            raise InvalidUpload("offset_bytes", "must not be negative")
        present = await self._threads.run(lambda _: keeper.find(address), user=actor.user)
        if present.is_whole:
            return present
        async with AsyncExitStack() as opened:
            part = await self._threads.run(
                lambda _: keeper.begin(address, offset),
                user=actor.user,
                discard=lambda late: late.close(),
            )
            opened.callback(part.close)
            async for piece in content:
                await self._threads.run(lambda _, piece=piece: part.write(piece), user=actor.user)  # type: ignore[misc]
            if part.received == size:
                await self._threads.run(lambda _: part.finish(), user=actor.user)
        return await self._threads.run(lambda _: keeper.find(address), user=actor.user)

    async def list(self, *, owner: str, actor: Actor) -> Sequence[Upload]:
        """Returns what an owner has."""
        keeper, owner = self._keeper, _owner(owner, actor)
        return [] if keeper is None else await self._threads.run(lambda _: keeper.list(owner), user=actor.user)

    async def remove(self, *, digest: str, owner: str, actor: Actor) -> None:
        """Removes an upload that nothing names."""
        keeper, owner = self._present(), _owner(owner, actor)
        found = [each.address for each in await self.list(owner=owner, actor=actor) if each.address.digest == digest]
        if not found:
            raise UploadNotFound(owner, digest)
        named = await self._named()
        for address in found:
            if address.uri in named:
                raise UploadInUse(address)
            await self._threads.run(lambda _, address=address: keeper.remove(address), user=actor.user)  # type: ignore[misc]

    async def _can_read(self, uri: str, address: UploadAddress, actor: Actor) -> bool:
        file = FileSnapshot(uri=uri, digest=address.digest, size_bytes=address.size)
        try:
            async with asyncio.timeout(LOOK_SECONDS), self._images.fetch(file, user=actor.user):
                return True
        except (ImageError, TimeoutError):
            return False

    def _present(self) -> UploadKeeper:
        if self._keeper is None:
            raise UploadsDisabled
        return self._keeper


def _owner(owner: str, actor: Actor) -> str:
    if owner and owner != actor.user and not actor.is_administrator:
        raise NotAdministrator(actor.user, owner)
    return owner or actor.user
