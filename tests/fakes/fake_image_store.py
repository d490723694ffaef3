"""A store whose files stand in a directory of the test."""

import hashlib
from pathlib import Path

from kadeploy_deployer.domain.snapshot import EnvironmentSnapshot, FileSnapshot
from kadeploy_deployer.domain.vocabulary import Compression
from kadeploy_deployer.ports import BootFiles, DigestDiffers, ImageError


class FakeImageStore:
    """Keeps files by URI. `add` makes one; `broken`: sentences by URI, raised for those files."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.paths: dict[str, Path] = {}
        self.broken: dict[str, str] = {}
        self.fetched: list[str] = []

    def add(self, uri: str, content: bytes, *, compression: Compression = Compression.NONE) -> FileSnapshot:
        """Puts a file into the store and returns how an environment names it."""
        digest = hashlib.sha256(content).hexdigest()
        path = self.directory / digest
        path.write_bytes(content)
        self.paths[uri] = path
        return FileSnapshot(uri=uri, digest=f"sha256:{digest}", size_bytes=len(content), compression=compression)

    async def fetch(self, file: FileSnapshot) -> Path:
        """As in the port."""
        self.fetched.append(file.uri)
        if file.uri in self.broken:
            raise ImageError(self.broken[file.uri])
        if file.uri not in self.paths:
            raise ImageError(f"{file.uri} is not there")
        path = self.paths[file.uri]
        found = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
        if found != file.digest:
            raise DigestDiffers(f"{file.uri} has the digest {found}, not {file.digest} as registered")
        return path

    async def read(self, file: FileSnapshot) -> bytes:
        """As in the port."""
        return (await self.fetch(file)).read_bytes()

    async def boot_files(self, environment: EnvironmentSnapshot) -> BootFiles:
        """As in the port; each file is the bytes of its path."""
        await self.fetch(environment.image)
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
