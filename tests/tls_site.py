"""The three services as processes on loopback, over mutual TLS, with a few nodes and users: for who attacks them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from kadeploy.bootctl.v1 import bootctl_service_pb2, bootctl_service_pb2_grpc
from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc
from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_edge.channel import open_channel
from kadeploy_edge.tls import TlsFiles
from tests.fakes.site_certificates import SiteCertificates
from tests.integration.bootctl.conftest import make_loaders
from tests.integration.inventory.requests import a_node, registering

SERVICES = ("inventory", "bootctl", "deployer")
ADMINISTRATORS = ("root", "ruth")
USERS = ("alice", "bob", "carol", "mallory", *ADMINISTRATORS)
CONTRACTS: Mapping[str, tuple[Any, Any]] = {
    "inventory": (inventory_service_pb2, inventory_service_pb2_grpc),
    "deployer": (deployer_service_pb2, deployer_service_pb2_grpc),
    "bootctl": (bootctl_service_pb2, bootctl_service_pb2_grpc),
}
START_SECONDS = 30.0
STOP_SECONDS = 30.0
_LISTENING = re.compile(r"listening on (127\.0\.0\.1:\d+)")


@dataclass(kw_only=True)
class TlsSite:
    """Three processes, and whoever has a certificate.

    Alice has a right on every node, bob and carol have none, mallory's certificate was revoked, root and
    ruth administrate the site.
    """

    directory: Path
    certificates: SiteCertificates = field(init=False)
    deployer_module: str = ""
    metrics: bool = False
    tracing: str = ""
    addresses: dict[str, str] = field(default_factory=dict)
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.certificates = SiteCertificates(self.directory / "pki")

    def files(self, caller: str) -> TlsFiles:
        """Returns the certificate of a user or a service."""
        return self.certificates.files("service" if caller in SERVICES else "user", caller)

    def channel(self, service: str, caller: str) -> grpc.Channel:
        """Returns a new channel, with a connection of its own."""
        return open_channel(self.addresses[service], caller="", tls=self.files(caller))

    def address(self, service: str) -> tuple[str, int]:
        """Returns host and port of a service."""
        host, _, port = self.addresses[service].rpartition(":")
        return host, int(port)

    def log(self, service: str) -> str:
        """Returns what a service has said so far."""
        return (self.directory / f"{service}.log").read_text(encoding="utf-8", errors="replace")

    def memory_mib(self, service: str) -> int:
        """Returns the largest memory that the process of a service has ever had."""
        status = Path(f"/proc/{self.processes[service].pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) >> 10 for line in status.splitlines() if line.startswith("VmHWM"))

    def forget_largest_memory(self, service: str) -> None:
        """Lets `memory_mib` begin anew."""
        Path(f"/proc/{self.processes[service].pid}/clear_refs").write_text("5", encoding="ascii")

    def open_files(self, service: str) -> int:
        """Returns how many files a service has open."""
        return len(os.listdir(f"/proc/{self.processes[service].pid}/fd"))  # noqa: PTH208 - a count

    def stop(self) -> dict[str, int]:
        """Asks all services to end, and returns their statuses; raises TimeoutExpired after STOP_SECONDS."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        return {name: one.wait(max(0.0, deadline - time.monotonic())) for name, one in self.processes.items()}


@contextmanager
def tls_site(
    directory: Path,
    *,
    limits: Mapping[str, float] | None = None,
    node_count: int = 2,
    open_files: int | None = None,
    deployer_module: str = "",
    metrics: bool = False,
    tracing: str = "",
) -> Iterator[TlsSite]:
    """Yields a site whose services run; ends their processes at the end, by force if it must be.

    Args:
        directory: takes everything that is written.
        limits: what the table [limits] of each service says.
        node_count: how many nodes are registered.
        open_files: the hard limit of open files of each process; None: as here.
        deployer_module: what is run as the deployer, where it is not the real one.
        metrics: whether each service has metrics, at any port.
        tracing: where spans are sent; empty: nowhere.
    """
    site = TlsSite(directory=directory, deployer_module=deployer_module, metrics=metrics, tracing=tracing)
    for name in SERVICES:
        site.certificates.issue("service", name)
    for name in USERS:
        site.certificates.issue("user", name)
    site.certificates.revoke("user", "mallory")
    with ExitStack() as stack:
        for service in SERVICES:
            _write_settings(site, service, limits or {})
            if service == "bootctl":
                _run(site, service, "init")
            stack.enter_context(_running(site, service, open_files))
        describe(site, node_count)
        yield site


def describe(site: TlsSite, node_count: int) -> None:
    """Registers nodes, and gives alice a right on each."""
    with site.channel("inventory", "root") as channel:
        nodes = inventory_service_pb2_grpc.NodeServiceStub(channel)
        nodes.RegisterNodes(registering(*(a_node(number) for number in range(1, node_count + 1))), timeout=60)
        rights = inventory_service_pb2_grpc.RightServiceStub(channel)
        grant = inventory_service_pb2.GrantRightsRequest(users=["alice"], nodes="*", partitions=["*"])
        rights.GrantRights(grant, timeout=60)


@contextmanager
def _running(site: TlsSite, service: str, open_files: int | None) -> Iterator[None]:
    command = _command(site, service, "serve")
    if open_files is not None:
        command = ["prlimit", f"--nofile={open_files}:{open_files}", *command]
    with (site.directory / f"{service}.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    site.processes[service] = process
    try:
        site.addresses[service] = _address(site, service)
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(site: TlsSite, service: str) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if found := _LISTENING.search(site.log(service)):
            return found[1]
        if site.processes[service].poll() is not None:
            break
        time.sleep(0.05)
    raise AssertionError(f"{service} does not listen: {site.log(service)[-2000:]}")


def _command(site: TlsSite, service: str, *arguments: str) -> list[str]:
    program = [str(Path(sys.executable).parent / f"kadeploy-{service}")]
    if service == "deployer" and site.deployer_module:
        program = [sys.executable, "-m", site.deployer_module]
    return [*program, *arguments, "--config", str(site.directory / f"{service}.toml")]


def _run(site: TlsSite, service: str, *arguments: str) -> None:
    done = subprocess.run(
        _command(site, service, *arguments), capture_output=True, text=True, timeout=START_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _write_settings(site: TlsSite, service: str, limits: Mapping[str, float]) -> None:
    directory, files = site.directory, site.files(service)
    tls = "".join(
        f'{key} = "{getattr(files, key)}"\n' for key in ("certificate", "private_key", "ca", "revocation_list")
    )
    lines = ['address = "127.0.0.1:0"', f"administrators = {json.dumps(ADMINISTRATORS)}"]
    lines += [f'audit_log = "{directory}/{service}-audit.json"']
    lines += _own_settings(site, service)
    lines += ["[metrics]", 'address = "127.0.0.1:0"'] if site.metrics else []
    lines += ["[tracing]", f'endpoint = "{site.tracing}"'] if site.tracing else []
    lines += ["[limits]", *(f"{key} = {value}" for key, value in limits.items()), "[tls]", tls]
    (directory / f"{service}.toml").write_text("\n".join(lines))


def _own_settings(site: TlsSite, service: str) -> list[str]:
    directory = site.directory
    if service == "inventory":
        return ["[database]", *(f'{name} = "{directory}/{name}.db"' for name in ("deploy", "deploy_right"))]
    if service == "bootctl":
        loaders = directory / "loaders"
        make_loaders(loaders)
        return [
            f'tftp_root = "{directory}/tftp"',
            '[labels.deploy]\nkernel = "deploy-vmlinuz"\ninitrd = "deploy-initrd"',
            f'[loaders]\npxelinux_directory = "{loaders}/PXELINUX"\nsyslinux_directory = "{loaders}/syslinux"',
        ]
    key = directory / "cluster_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=START_SECONDS)
    return [
        f'ssh_private_key = "{key}"',
        f'deployment_host_keys = "{key}.pub"',
        f'cache_directory = "{directory}/cache"',
        f'inventory_address = "{site.addresses["inventory"]}"',
        f'bootctl_address = "{site.addresses["bootctl"]}"',
        f'[database]\ndeploy_state = "{directory}/deploy_state.db"',
    ]
