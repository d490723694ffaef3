"""SIGTERM ends each service in time, whatever those do who are connected."""

import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.integration.adversary.attacks import half_open, probes, silent_connections, slow, unread
from tests.tls_site import SERVICES, tls_site

pytestmark = [pytest.mark.integration, pytest.mark.thorough]


def test_each_service_ends_in_time_while_it_is_attacked(tmp_path: Path) -> None:
    with tls_site(tmp_path) as site, ExitStack() as stack:
        for service in SERVICES:
            for attack in (half_open, probes, silent_connections, slow, unread):
                stack.enter_context(suppress(OSError))
                stack.enter_context(attack(site, service, "root"))
        time.sleep(0.5)
        # Raises after STOP_SECONDS.
        assert site.stop() == {"inventory": 0, "deployer": 0, "bootctl": 0}
