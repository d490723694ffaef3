"""The three services as processes with patience for two seconds, so that a test sees the end of it."""

from collections.abc import Iterator

import pytest

from tests.tls_site import TlsSite, tls_site

# Short: what takes too long is ended while the test looks on. Otherwise as a site has it.
LIMITS = {"request_seconds": 2, "handshake_seconds": 2, "answer_seconds": 2}


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsSite]:
    """Three processes for all tests that leave them as they were."""
    with tls_site(tmp_path_factory.mktemp("site"), limits=LIMITS) as made:
        yield made
