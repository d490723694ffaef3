"""The page that `make run` and `make demo` start."""

from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from kadeploy_demo.page import Page
from kadeploy_demo.site import Site

pytestmark = pytest.mark.integration


def test_the_page_of_a_site_says_its_address_and_ends_with_it(tmp_path: Path) -> None:
    site = Site(
        directory=tmp_path,
        tftp_root=tmp_path,
        addresses={name: f"unix:{tmp_path}/{name}" for name in ("inventory", "deployer", "bootctl")},
        deployment_environment=tmp_path,
        cluster_key=tmp_path,
        image_directories=(),
    )
    page = Page(site=site)
    with page.served() as address, urlopen(address, timeout=10) as answer:  # noqa: S310 - loopback
        assert answer.status == 200
    assert not page.stop()
    with pytest.raises(URLError):
        urlopen(address, timeout=10)  # noqa: S310 - loopback
