"""The health probe against a real server: its exit status, and what it says."""

from pathlib import Path

import pytest

from kadeploy_edge import server
from kadeploy_edge.health_probe import main
from tests.fakes.site_certificates import SiteCertificates
from tests.fakes.threaded_server import start_in_thread

pytestmark = pytest.mark.integration


def test_a_service_that_serves_gives_status_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    running, address = start_in_thread(
        lambda _server: None,
        server.ServerSettings(service="test", address=f"unix:{tmp_path}/socket", service_names=("kadeploy.Test",)),
    )
    try:
        assert main([address]) == 0
        assert main([address, "--service", "kadeploy.Test"]) == 0
        assert main([address, "--service", "kadeploy.Unknown"]) == 1
    finally:
        running.stop()
    assert "SERVING" in capsys.readouterr().out


def test_a_service_with_certificates_is_asked_with_certificates(tmp_path: Path) -> None:
    site = SiteCertificates(tmp_path)
    tls = site.issue("service", "bootctl")
    running, address = start_in_thread(
        lambda _server: None, server.ServerSettings(service="bootctl", address="127.0.0.1:0", service_names=(), tls=tls)
    )
    try:
        assert main([address, "--tls", str(tls.certificate.parent)]) == 0
        assert main([address]) == 2
    finally:
        running.stop()


def test_a_service_that_is_not_there_gives_status_1_and_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"unix:{tmp_path}/nobody", "--seconds", "1"]) == 1
    assert "does not answer" in capsys.readouterr().err
