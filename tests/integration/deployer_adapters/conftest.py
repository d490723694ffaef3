"""What the tests of files share: a server with names and stores that fetch from it; a directory of images."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from kadeploy_deployer.adapters import confined_open
from kadeploy_deployer.adapters.confined_open import OpenBeneath, open_by_kernel, open_step_by_step
from kadeploy_deployer.adapters.image_directories import ImageDirectories
from kadeploy_deployer.adapters.image_download import DownloadLimits, ImageDownloads
from kadeploy_deployer.adapters.image_hosts import ImageHosts
from kadeploy_deployer.adapters.image_store import FileImageStore
from kadeploy_deployer.domain.http_servers import ServerPattern
from tests.integration.deployer_adapters.fetching import CONTENT, LOOPBACK, QUICK, SECRET, Make, Names
from tests.integration.deployer_adapters.http_site import HttpSite, http_site


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
def make(tmp_path: Path, names: Names) -> Make:
    """Makes stores that may fetch from named servers; loopback is one of the site's networks unless a test says not."""

    def made(
        *servers: str,
        networks: Sequence[Any] = (LOOPBACK,),
        limits: DownloadLimits = QUICK,
        proxy: str = "",
        kept_files: int = 20,
    ) -> FileImageStore:
        hosts = ImageHosts(
            [ServerPattern.parse(text) for text in servers], networks=networks, proxy=proxy, lookup=names
        )
        return FileImageStore(
            tmp_path / "cache",
            directories=ImageDirectories([]),
            downloads=ImageDownloads(hosts, limits),
            kept_files=kept_files,
        )

    return made


@pytest.fixture
async def site() -> AsyncIterator[HttpSite]:
    async with http_site() as site:
        site.bodies["/image"] = CONTENT
        yield site


@pytest.fixture(params=[open_by_kernel, open_step_by_step], ids=["openat2", "step by step"])
def way(request: pytest.FixtureRequest) -> OpenBeneath:
    chosen: OpenBeneath = request.param
    if chosen is open_by_kernel and confined_open._best_way() is not open_by_kernel:
        pytest.skip("this kernel has no openat2")
    return chosen


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory of images, with a file in it and another one beside it."""
    place = tmp_path / "images"
    (place / "alice").mkdir(parents=True)
    (place / "alice" / "image").write_bytes(b"image")
    (tmp_path / "secret").write_bytes(SECRET)
    return place
