"""The page as a process beside real services, whose nodes are simulated, and a real browser that reads it."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from playwright.sync_api import Browser, sync_playwright

from kadeploy.inventory.v1 import cluster_pb2, environment_pb2, inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_api import ClientSettings, Kadeploy
from tests.fakes.paced_deployer import PACE
from tests.integration.inventory.requests import a_node, an_environment, recording, registering
from tests.tls_site import TlsSite, tls_site

START_SECONDS = 30.0
CHROMIUM = "/usr/bin/chromium"
PICTURES = Path(__file__).resolve().parents[1] / "build" / "pictures"
_PAGE = re.compile(r"page on (https?://\S+)/")


@dataclass(frozen=True, kw_only=True)
class WebSite:
    """A page on loopback. `url`: without a slash at the end."""

    site: TlsSite
    url: str
    process: "subprocess.Popen[bytes]"

    def client(self, user: str) -> Kadeploy:
        """Returns the services as a user calls them."""
        return Kadeploy(
            ClientSettings(
                inventory_address=self.site.addresses["inventory"],
                deployer_address=self.site.addresses["deployer"],
                user=user,
                tls=self.site.files(user),
            )
        )

    def pace(
        self, *, seconds: float, failures: Mapping[str, Sequence[str]] | None = None, held: Sequence[str] = ()
    ) -> None:
        """Says how the simulated nodes behave from now on."""
        content = json.dumps({"seconds": seconds, "failures": dict(failures or {}), "held": list(held)})
        fresh = self.site.directory / f"{PACE}.new"
        fresh.write_text(content)
        fresh.replace(self.site.directory / PACE)

    def register_many(self, count: int) -> None:
        """Registers more nodes, in a cluster of their own."""
        with self.site.channel("inventory", "root") as channel:
            clusters = inventory_service_pb2_grpc.ClusterServiceStub(channel)
            big = cluster_pb2.Cluster(name="big")
            clusters.CreateCluster(inventory_service_pb2.CreateClusterRequest(cluster=big), timeout=10)
            nodes = inventory_service_pb2_grpc.NodeServiceStub(channel)
            for first in range(1, count, 2500):
                many = [
                    a_node(number + 1000, name=f"big-{number}", cluster="big") for number in range(first, first + 2500)
                ]
                nodes.RegisterNodes(registering(*many), timeout=60)

    def get(self, path: str) -> Any:
        """Returns the JSON at a path."""
        status, _, body = self.fetch(path)
        assert status == 200, body
        return json.loads(body)

    def fetch(
        self, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> tuple[int, Message, bytes]:
        """Returns status, headers and body of an answer, whatever the status."""
        request = Request(self.url + path, method=method, headers=dict(headers or {}), data=body)  # noqa: S310 - loopback
        try:
            with urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
                return answer.status, answer.headers, answer.read()
        except HTTPError as error:
            return error.code, error.headers, error.read()


@contextmanager
def web_site(directory: Path, *, node_count: int = 48, settings: str = "") -> Iterator[WebSite]:
    """Yields a page whose services run; ends all processes at the end."""
    (directory / PACE).write_text(json.dumps({"seconds": 0.0}))
    with tls_site(directory, node_count=node_count, deployer_module="tests.fakes.paced_deployer") as site:
        site.certificates.issue("user", "web")
        with site.channel("inventory", "root") as channel:
            environments = inventory_service_pb2_grpc.EnvironmentServiceStub(channel)
            for name in ("debian", "rocky"):
                environments.RecordEnvironment(
                    recording(an_environment(name, visibility=environment_pb2.VISIBILITY_PUBLIC)), timeout=10
                )
        config = directory / "web.toml"
        files = site.files("web")
        config.write_text(
            f'address = "127.0.0.1:0"\n{settings}'
            f'[inventory]\naddress = "{site.addresses["inventory"]}"\n'
            f'[deployer]\naddress = "{site.addresses["deployer"]}"\n'
            f'[tls]\ncertificate = "{files.certificate}"\nprivate_key = "{files.private_key}"\nca = "{files.ca}"\n'
        )
        with page_process(config, directory / "web.log") as (url, process):
            yield WebSite(site=site, url=url, process=process)


@contextmanager
def page_process(config: Path, log_file: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Yields the address of a page that runs with these settings, and its process."""
    command = [str(Path(sys.executable).parent / "kadeploy-web"), "serve", "--config", str(config)]
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "GRPC_VERBOSITY": "NONE"}
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not (found := _PAGE.search(log_file.read_text())):
            assert process.poll() is None, log_file.read_text()
            assert time.monotonic() < deadline, log_file.read_text()
            time.sleep(0.05)
        yield found[1], process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yields Debian's browser, headless. Root has no sandbox of its own there."""
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            yield browser
        finally:
            browser.close()
