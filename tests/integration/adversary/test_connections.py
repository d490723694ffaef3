"""Connections: what stands idle makes room, whatever the limit of open files is."""

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from tests.integration.adversary.attacks import SILENT_CONNECTIONS
from tests.integration.adversary.well_behaved_client import well_behaved_client
from tests.tls_site import SERVICES, TlsSite, tls_site

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

FILES = 1_024
PER_ADDRESS = 20
SOON = 20.0


@pytest.fixture(scope="module")
def narrow_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsSite]:
    """Services with as many open files as systemd gives by default, and room for few connections of one address."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4 * SILENT_CONNECTIONS), hard))
    limits = {"connections_per_address": PER_ADDRESS, "handshake_seconds": 5}
    with tls_site(tmp_path_factory.mktemp("narrow"), limits=limits, open_files=FILES) as made:
        yield made
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("service", SERVICES)
def test_silent_connections_keep_nobody_out(narrow_site: TlsSite, service: str) -> None:
    with well_behaved_client(narrow_site, service) as known, ExitStack() as stack:
        for _ in range(SILENT_CONNECTIONS):
            with suppress(OSError):
                stack.enter_context(socket.create_connection(narrow_site.address(service), timeout=2))
        time.sleep(1)
        # Also somebody who comes only now.
        with well_behaved_client(narrow_site, service) as new:
            time.sleep(1)
    assert not known.failures
    assert not new.failures
    assert new.seconds


@pytest.mark.parametrize("service", SERVICES)
def test_those_that_stand_idle_make_room_for_those_who_call(narrow_site: TlsSite, service: str) -> None:
    other_files = narrow_site.open_files(service)
    with well_behaved_client(narrow_site, service) as beside, ExitStack() as stack:
        idle = [
            stack.enter_context(socket.create_connection(narrow_site.address(service), timeout=SOON))
            for _ in range(3 * PER_ADDRESS)
        ]
        deadline = time.monotonic() + SOON
        # One of them is the well-behaved one.
        while narrow_site.open_files(service) > other_files + PER_ADDRESS + 1:
            assert time.monotonic() < deadline, "idle connections do not end"
            time.sleep(0.1)
        assert any(one.recv(1) == b"" for one in idle[:1])
    assert not beside.failures


def test_the_limit_fits_the_files(narrow_site: TlsSite) -> None:
    for service in SERVICES:
        assert "are too many for this limit of open files: 384 may stand" in narrow_site.log(service)
