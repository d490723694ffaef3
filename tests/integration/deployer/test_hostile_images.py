"""What users reach through the address of an image: nothing of the deployer's host, no other server, nobody's turn."""

import http.server
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from sqlalchemy.engine import URL

from kadeploy_edge.status import RemoteError
from tests.integration.deployer.hostile_site import HostileSite, hostile_site
from tests.integration.inventory.conftest import DATABASES, Site, copy_databases, migrated, opened, serving

pytestmark = pytest.mark.integration

__all__ = ["migrated"]


class Slow(http.server.BaseHTTPRequestHandler):
    """Gives a byte a second of a file that is never complete."""

    asked = 0

    def do_GET(self) -> None:
        Slow.asked += 1
        self.send_response(200)
        self.send_header("Content-Length", "100000000")
        self.end_headers()
        end = time.monotonic() + 60
        try:
            while time.monotonic() < end:
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(1)
        except OSError:
            return

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    """A server that is slow."""
    Slow.asked = 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def inventory(tmp_path: Path, migrated: Path) -> Iterator[Site]:
    directory = tmp_path / "i"
    directory.mkdir()
    copy_databases(migrated, directory)
    with (
        opened({name: URL.create("sqlite", database=f"{directory}/{name}.db") for name in DATABASES}) as engines,
        serving(engines, directory) as site,
    ):
        yield site


@pytest.fixture
def site(inventory: Site, tmp_path: Path, server: http.server.ThreadingHTTPServer) -> Iterator[HostileSite]:
    """A site that names the slow server, and one directory."""
    with hostile_site(inventory, tmp_path, image_hosts=[f"127.0.0.1:{server.server_port}"]) as site:
        yield site


def refused(answer: list[str] | RemoteError | None) -> RemoteError:
    assert isinstance(answer, RemoteError), answer
    return answer


def test_no_file_of_the_host_and_no_other_server_is_looked_at(
    site: HostileSite, server: http.server.ThreadingHTTPServer
) -> None:
    addresses = [
        "file:///etc/shadow",
        "file:///no/such/file",
        "file:///%2e%2e/etc/passwd",
        f"file://{site.directory}/key",
        f"file://{site.directory}/images/%2e%2e/key",
        f"file://{site.directory}/deployer.toml",
        "file:///proc/self/environ",
        "http://127.0.0.1:1/",
        f"http://localhost:{server.server_port}/",
        "http://169.254.169.254/latest/meta-data",
    ]
    said = set()
    for number, address in enumerate(addresses):
        site.record("alice", f"e{number}", address)
        for answer in (site.plan("alice", "node-1", f"e{number}"), site.create("alice", "node-1", f"e{number}")):
            error = refused(answer)
            assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_DEPLOYMENT"), address
            said.add(error.message.replace(address, "ADDRESS").replace(f"e{number} ", "NAME "))
    begin = (
        "the deployment cannot be accepted: spec.environment_name: names NAME version 1, which cannot be deployed here"
    )
    assert said == {
        f"{begin}: ADDRESS lies outside of the directories that images may be in: {site.images}",
        f"{begin}: ADDRESS cannot be fetched: images may come from these servers alone: 127.0.0.1:{server.server_port}",
    }
    assert Slow.asked == 0


def test_a_link_in_a_directory_of_images_leads_nowhere_else(site: HostileSite) -> None:
    (site.images / "key").symlink_to(site.directory / "key")
    (site.images / "nothing").symlink_to("/no/such/file")
    words = []
    for name in ("key", "nothing"):
        site.record("alice", name, f"file://{site.images}/{name}")
        error = refused(site.plan("alice", "node-1", name))
        assert error.reason == "ENVIRONMENT_UNUSABLE"
        words.append(error.message.replace(f"{site.images}/{name}", "ADDRESS").replace(name, "NAME"))
    [sentence] = set(words)
    assert sentence.endswith(f"ADDRESS lies outside of the directories that images may be in: {site.images}")


def test_digest_and_size_are_for_those_who_may_deploy_and_every_plan_is_recorded(site: HostileSite) -> None:
    (site.images / "image").write_bytes(b"an image")
    site.record("alice", "mine", f"file://{site.images}/image")
    site.record("bob", "his", f"file://{site.images}/image")
    assert "(8 bytes) is found where" in refused(site.plan("alice", "node-1", "mine")).message
    error = refused(site.plan("bob", "node-1", "his"))
    assert error.reason == "RIGHT_MISSING"
    assert "bytes" not in error.message
    assert site.plan("bob", "nosuch-[1-2]", "his") == []
    records = [record for record in site.records() if record["method"].endswith("/PlanDeployment")]
    assert [(record["caller"], record["nodes"], record["outcome"]) for record in records] == [
        ("user:alice", "node-1", "ENVIRONMENT_UNUSABLE"),
        ("user:bob", "node-1", "RIGHT_MISSING"),
        ("user:bob", "nosuch-[1-2]", "OK"),
    ]
    assert records[0]["about"]["spec.environment_name"] == "mine"


def test_a_slow_server_holds_up_neither_others_nor_the_end_of_the_process(
    site: HostileSite, server: http.server.ThreadingHTTPServer
) -> None:
    (site.images / "image").write_bytes(b"an image")
    site.record("alice", "honest", f"file://{site.images}/image")
    count = 12
    for number in range(count):
        uri = f"http://127.0.0.1:{server.server_port}/{number}"
        site.record("bob", f"slow{number}", uri, digest=f"sha256:{number:064x}", size=1 << 30)
    # Nodes that are not registered give no right to have anything fetched.
    assert site.plan("bob", "nosuch1", "slow0") == []
    assert Slow.asked == 0
    with ThreadPoolExecutor(count) as pool:
        plans = [pool.submit(site.plan, "bob", "node-2", f"slow{number}") for number in range(count)]
        deadline = time.monotonic() + 10
        while not Slow.asked and time.monotonic() < deadline:
            time.sleep(0.05)
        began = time.monotonic()
        error = refused(site.plan("alice", "node-1", "honest"))
        assert time.monotonic() - began < 5
        assert "(8 bytes) is found where" in error.message
        assert 1 <= Slow.asked <= 2
        assert site.seconds_to_end(at_most=30) < 30
        for plan in plans:
            plan.result()
    assert site.process.returncode == 0
