"""What the tests of downloads share: files, name service, and stores that fetch from the servers of a test."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network

import pytest

from kadeploy_deployer.adapters.image_download import DownloadLimits
from kadeploy_deployer.adapters.image_store import FileImageStore
from kadeploy_deployer.domain.snapshot import FileSnapshot
from kadeploy_deployer.ports import ImageError
from tests.integration.deployer_adapters.http_site import HttpSite

CONTENT = b"content" * 300_000
SECRET = b"of the deployer alone"
LOOPBACK = ip_network("127.0.0.0/8")
QUICK = DownloadLimits(rate=1000, window=0.5)
ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def registered(uri: str, content: bytes = CONTENT) -> FileSnapshot:
    return FileSnapshot(uri=uri, digest=digest_of(content), size_bytes=len(content))


@dataclass
class Names:
    """Name service of the test; `asked`: what was looked up."""

    known: dict[str, list[list[str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answers = self.known.get(host)
        if answers is None:
            raise OSError(-2, "Name or service not known")
        return answers.pop(0) if len(answers) > 1 else answers[0]


Make = Callable[..., FileImageStore]


def at(site: HttpSite, path: str = "/image", host: str = "127.0.0.1") -> str:
    return f"http://{host}:{site.port}{path}"


async def content_of(store: FileImageStore, file: FileSnapshot, user: str = "alice") -> bytes:
    async with store.fetch(file, user=user) as opened:
        return opened.read_at(0, opened.size())


async def words(store: FileImageStore, file: FileSnapshot, user: str = "alice") -> str:
    """Returns what is said of a file that is refused."""
    with pytest.raises(ImageError) as caught:
        await content_of(store, file, user)
    return str(caught.value)
