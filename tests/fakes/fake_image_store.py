"""A store whose files stand in a directory of the test."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from kadeploy_deployer.domain.snapshot import EnvironmentSnapshot, FileSnapshot
from kadeploy_deployer.domain.vocabulary import Compression
from kadeploy_deployer.ports import BootFiles, DigestDiffers, ImageError, OpenedFile


class FakeImageStore:
    """Keeps files by URI. `add` makes one.

    `broken`: sentences by URI, raised for those files. `refused`: the same, for addresses that the site does not allow.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.paths: dict[str, Path] = {}
        self.broken: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self.fetched: list[str] = []
        self.users: list[str] = []

    def add(self, uri: str, content: bytes, *, compression: Compression = Compression.NONE) -> FileSnapshot:
        """Puts a file into the store and returns how an environment names it."""
        digest = hashlib.sha256(content).hexdigest()
        path = self.directory / digest
        path.write_bytes(content)
        self.paths[uri] = path
        return FileSnapshot(uri=uri, digest=f"sha256:{digest}", size_bytes=len(content), compression=compression)

    def check(self, file: FileSnapshot) -> None:
        """As in the port."""
        if file.uri in self.refused:
            raise ImageError(self.refused[file.uri])

    @asynccontextmanager
    async def fetch(self, file: FileSnapshot, *, user: str) -> AsyncIterator[OpenedFile]:
        """As in the port."""
        self.check(file)
        self.fetched.append(file.uri)
        self.users.append(user)
        if file.uri in self.broken:
            raise ImageError(self.broken[file.uri])
        if file.uri not in self.paths:
            raise ImageError(f"{file.uri} is not there")
        with OpenedFile.open(self.paths[file.uri], name=file.uri) as opened:
            found = f"sha256:{hashlib.sha256(opened.read_at(0, opened.size())).hexdigest()}"
            if found != file.digest:
                raise DigestDiffers(f"{file.uri} has the digest {found}, not {file.digest} as registered")
            yield opened

    async def boot_files(self, environment: EnvironmentSnapshot, *, user: str) -> BootFiles:
        """As in the port; each file is the bytes of its path."""
        async with self.fetch(environment.image, user=user):
            pass
        kernel = self.add(f"boot:{environment.kernel_path}", environment.kernel_path.encode())
        initrd = self.add(f"boot:{environment.initrd_path}", environment.initrd_path.encode())
        hypervisor = self.add(f"boot:{environment.hypervisor_path}", environment.hypervisor_path.encode())
        return BootFiles(
            kernel=self.paths[kernel.uri],
            kernel_digest=kernel.digest,
            initrd=self.paths[initrd.uri] if environment.initrd_path else None,
            initrd_digest=initrd.digest if environment.initrd_path else "",
            hypervisor=self.paths[hypervisor.uri] if environment.hypervisor_path else None,
            hypervisor_digest=hypervisor.digest if environment.hypervisor_path else "",
        )
