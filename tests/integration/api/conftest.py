"""Real services with simulated nodes, and client settings of users."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web_site import WebSite, web_site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebSite]:
    with web_site(tmp_path_factory.mktemp("api"), node_count=20) as site:
        yield site


def settings_of(site: WebSite, user: str, directory: Path) -> Path:
    """Returns the client.toml of a user."""
    files, path = site.site.files(user), directory / f"client-{user}.toml"
    lines = [f'[{name}]\naddress = "{site.site.addresses[name]}"' for name in ("inventory", "deployer", "bootctl")]
    lines += [f'[tls]\ncertificate = "{files.certificate}"\nprivate_key = "{files.private_key}"\nca = "{files.ca}"\n']
    path.write_text("\n".join(lines))
    return path
