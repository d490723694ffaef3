"""The page's server: JSON, what it refuses, how it is served, and how it ends."""

import json
import signal
import socket
import ssl
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from kadeploy_web.__main__ import main
from tests.fakes.site_certificates import SiteCertificates
from tests.web_site import WebSite, page_process

pytestmark = pytest.mark.integration
LONE = '[inventory]\naddress = "unix:/nowhere/i"\n[deployer]\naddress = "unix:/nowhere/d"\n'


def error(body: bytes) -> dict[str, object]:
    found: dict[str, object] = json.loads(body)["error"]
    return found


def test_everything_that_can_be_read_is_listed_and_is_json(web: WebSite) -> None:
    deployment = web.get("/api/v1/deployments?page_size=1")["deployments"][0]["id"]
    paths = [path.partition("?")[0] for path in web.get("/api/v1")["paths"]]
    read = [path for path in paths if not path.endswith("events")]
    assert len(read) >= 9
    for path in read:
        if path.endswith("operations/ID"):
            continue  # there is none; the views of the page show one
        asked = path.replace("NAME", "node-1").replace("ID", deployment)
        assert web.get(f"{asked}?nodes=node-1" if asked.endswith("node-set") else asked)


def test_deployments_come_in_pages_and_by_what_is_asked_for(web: WebSite) -> None:
    first = web.get("/api/v1/deployments?page_size=2&state=terminated&state=error")
    second = web.get(
        f"/api/v1/deployments?page_size=2&state=terminated&state=error&page_token={first['next_page_token']}"
    )
    assert len(first["deployments"]) == 2
    assert {one["id"] for one in first["deployments"]}.isdisjoint(one["id"] for one in second["deployments"])
    assert web.get("/api/v1/deployments?owner=nobody")["deployments"] == []
    one = first["deployments"][0]
    whole = web.get(f"/api/v1/deployments/{one['id']}")
    assert (whole["owner"], whole["spec"]["nodes"]) == ("alice", one["nodes"])


def test_the_page_shows_no_secret_of_a_deployment(web: WebSite) -> None:
    with web.client("alice") as alice:
        made = alice.deploy(
            "node-48", "debian", device="sda", partition=3, kernel_arguments="token=secret", authorized_keys=[KEY]
        )
        assert alice.wait(made.id, seconds=30).spec.kernel_arguments == "token=secret"
    text = json.dumps(web.get(f"/api/v1/deployments/{made.id}"))
    assert "secret" not in text
    assert "AAAAC3" not in text


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDSnA0vLDvPvv0oa2dqmSNvBnyqFpx2Hyd1HhtMXPcLg alice@example"


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/api/v1/nodes/nobody", 404, "NODE_NOT_FOUND"),
        ("/api/v1/deployments/nothing", 404, "DEPLOYMENT_NOT_FOUND"),
        ("/api/v1/deployments/nothing/view", 404, "DEPLOYMENT_NOT_FOUND"),
        ("/api/v1/deployments/nothing/events", 404, "DEPLOYMENT_NOT_FOUND"),
        ("/api/v1/deployments?state=sleeping", 400, "INVALID_QUERY"),
        ("/api/v1/deployments?page_size=many", 400, "INVALID_QUERY"),
        ("/api/v1/deployments?page_token=forged", 400, "INVALID_PAGE_TOKEN"),
        ("/api/v1/deployments?nodes=node-[1-", 400, "INVALID_NODE_SET"),
        ("/api/v1/node-set?nodes=node-[1-", 400, "INVALID_NODE_SET"),
        ("/api/v1/node-set?nodes=node-[1-999999999]", 400, "INVALID_NODE_SET"),
        ("/api/v1/statistics?since=nan", 400, "INVALID_QUERY"),
        ("/static/..%2fsettings.py", 404, ""),
        ("/static/index.html", 404, ""),
        ("/nothing", 404, ""),
    ],
)
def test_what_cannot_be_answered_is_one_sentence(web: WebSite, path: str, status: int, reason: str) -> None:
    found, _, body = web.fetch(path)
    assert (found, error(body)["reason"]) == (status, reason)
    assert error(body)["message"]


def test_every_answer_has_the_headers_that_keep_others_out(web: WebSite) -> None:
    for path in ("/", "/static/main.js", "/api/v1/cluster", "/nothing"):
        _, headers, _ = web.fetch(path)
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Server" not in headers
        assert "Access-Control-Allow-Origin" not in headers


def test_foreign_host_names_and_origins_are_refused(web: WebSite) -> None:
    assert web.fetch("/api/v1/cluster", headers={"Host": "evil.example"})[0] == 421
    for origin in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        assert web.fetch("/api/v1/deployments", method="POST", headers=origin, body=b"{}")[0] == 403
    assert web.fetch("/api/v1/deployments", method="POST", headers={"Origin": web.url}, body=b"{}")[0] == 401


def events(url: str) -> socket.socket:
    """Returns a connection on which the events of the first view were asked for."""
    host, _, port = url.removeprefix("http://").partition(":")
    connection = socket.create_connection((host, int(port)), timeout=20)
    connection.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return connection


def test_more_live_views_than_there_is_room_for_are_refused_and_one_that_left_makes_room(
    web: WebSite, tmp_path: Path
) -> None:
    text = (web.site.directory / "web.toml").read_text()
    config = tmp_path / "web.toml"
    config.write_text(text.replace("[inventory]", "streams = 1\n[inventory]", 1))
    with page_process(config, tmp_path / "log") as (url, process):
        with events(url) as first:
            assert b"200 OK" in first.recv(4096)
            with events(url) as second:
                assert b"503" in second.recv(4096)
        deadline = time.monotonic() + 20
        while True:
            with events(url) as third:
                if b"200 OK" in third.recv(4096):
                    break
            assert time.monotonic() < deadline
            time.sleep(0.2)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) in (0, -signal.SIGTERM)
        assert time.monotonic() - began < 8


def test_services_that_are_away_are_said_in_one_sentence(tmp_path: Path) -> None:
    config = tmp_path / "web.toml"
    config.write_text(f'address = "127.0.0.1:0"\n{LONE}')
    with page_process(config, tmp_path / "log") as (url, _):
        site = WebSite(site=None, url=url, process=None)  # type: ignore[arg-type] # there is no other part of it
        status, _, body = site.fetch("/api/v1/cluster")
        assert (status, error(body)["message"]) == (503, "a service of Kadeploy does not answer; try again in a moment")
        assert site.fetch("/")[0] == 200


def test_the_page_is_served_over_tls_and_takes_a_renewed_certificate(tmp_path: Path) -> None:
    certificates = SiteCertificates(tmp_path / "pki")
    files = certificates.issue("service", "inventory")
    config = tmp_path / "web.toml"
    config.write_text(
        f'address = "127.0.0.1:0"\n{LONE}'
        f'[https]\ncertificate = "{files.certificate}"\nprivate_key = "{files.private_key}"\n'
    )
    context = ssl.create_default_context(cafile=files.ca)
    with page_process(config, tmp_path / "log") as (url, _):
        assert url.startswith("https://")
        with urlopen(f"{url}/", context=context, timeout=10) as answer:  # noqa: S310 - loopback
            assert answer.headers["Strict-Transport-Security"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('address = "0.0.0.0:80"\n[https]\ncertificate = "c"\nprivate_key = "k"\n', "the key readers is missing"),
        ('address = "0.0.0.0:80"\n', "can be reached from other hosts: give [https]"),
        ('address = "localhost"\n', "address must be HOST:PORT"),
        ('adress = "127.0.0.1:1"\n', "was address meant?"),
        ("streams = 0\n", "streams must be a whole number from 1"),
        ('[https]\ncertificate = "c"\n', "https.private_key is missing"),
    ],
)
def test_settings_that_cannot_be_used_are_told_by_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, sentence: str
) -> None:
    config = tmp_path / "web.toml"
    config.write_text(text)
    assert main(["serve", "--config", str(config)]) == 2
    assert sentence in capsys.readouterr().err


def test_the_sample_can_be_read_and_has_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    sample = Path(__file__).parents[3] / "clients" / "web" / "web.toml.sample"
    assert main(["serve", "--config", str(sample), "--print-config"]) == 0
    assert 'address = "127.0.0.1:7480"' in capsys.readouterr().out
