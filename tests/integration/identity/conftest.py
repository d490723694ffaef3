"""The three real services over mutual TLS on loopback, and every kind of caller."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc, node_pb2
from kadeploy_bootctl import bootstrap as bootctl
from kadeploy_bootctl.settings import Settings as BootctlSettings
from kadeploy_database.access import SqliteAccess
from kadeploy_deployer import service as deployer
from kadeploy_deployer.adapters.inventory_grpc import GrpcInventory
from kadeploy_edge.channel import OPTIONS, open_channel
from kadeploy_edge.server import ServerSettings, start_server
from kadeploy_edge.tls import TlsFiles
from kadeploy_inventory import bootstrap as inventory
from kadeploy_inventory.settings import Settings as InventorySettings
from kadeploy_inventory.store import schema
from tests.fakes.deployment_world import World, make_database
from tests.fakes.fake_console import FakeConsole
from tests.fakes.scripted_step import straight_plan
from tests.fakes.site_certificates import SiteCertificates
from tests.fakes.threaded_server import start_in_thread
from tests.integration.bootctl.conftest import make_bed
from tests.integration.inventory.requests import an_environment

GIB = 1024**3
ANY_PORT = "127.0.0.1:0"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSite:
    """Where the services answer, what they recorded, and channels of every caller to each service."""

    addresses: Mapping[str, str]
    audit_logs: Mapping[str, Path]
    channels: Callable[[str, str], grpc.Channel]

    def records(self, service: str) -> list[dict[str, Any]]:
        """Returns the audit records of a service so far."""
        return [json.loads(line) for line in self.audit_logs[service].read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> SiteCertificates:
    """The site's authority; whoever is to have a certificate has one."""
    made = SiteCertificates(tmp_path_factory.mktemp("pki") / "pki")
    for name in ("inventory", "deployer", "bootctl"):
        made.issue("service", name)
    for name in ("alice", "bob", "root", "mallory"):
        made.issue("user", name)
    made.revoke("user", "mallory")
    return made


@pytest.fixture(scope="session")
def callers(certificates: SiteCertificates, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, TlsFiles | None]:
    """Every kind of caller, with his files; None for one without a certificate."""
    ca = certificates.files("user", "root").ca
    stranger = SiteCertificates(tmp_path_factory.mktemp("foreign") / "pki").issue("user", "root")
    # The site's own authority, a hundred days ago: issued for one day.
    expired = SiteCertificates(certificates.directory, age=timedelta(days=100)).issue("user", "oscar")
    return {
        "nobody": None,
        "stranger": replace(stranger, ca=ca),
        "expired": expired,
        "revoked": certificates.files("user", "mallory"),
        "without right": certificates.files("user", "bob"),
        "with right": certificates.files("user", "alice"),
        "administrator": certificates.files("user", "root"),
        "inventory": certificates.files("service", "inventory"),
        "deployer": certificates.files("service", "deployer"),
        "bootctl": certificates.files("service", "bootctl"),
    }


@pytest.fixture(scope="session")
def tls_site(
    certificates: SiteCertificates,
    callers: Mapping[str, TlsFiles | None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[TlsSite]:
    """The three services, the deployer's inventory being the real one; alice has a right on two nodes, bob has none."""
    directory = tmp_path_factory.mktemp("site")
    logs = {name: directory / f"{name}-audit.json" for name in ("inventory", "deployer", "bootctl")}
    with ExitStack() as stack:
        addresses = {
            "inventory": stack.enter_context(
                serving_inventory(directory, certificates.files("service", "inventory"), logs["inventory"])
            ),
            "bootctl": stack.enter_context(
                _bootctl(tmp_path_factory.mktemp("b"), certificates.files("service", "bootctl"), logs["bootctl"])
            ),
        }
        addresses["deployer"] = stack.enter_context(
            _deployer(directory, certificates.files("service", "deployer"), logs["deployer"], addresses["inventory"])
        )
        _describe(addresses["inventory"], callers["administrator"])
        opened: dict[tuple[str, str], grpc.Channel] = {}

        def channel(service: str, caller: str) -> grpc.Channel:
            if (service, caller) not in opened:
                opened[service, caller] = connect(addresses[service], callers[caller], certificates)
            return opened[service, caller]

        yield TlsSite(addresses=addresses, audit_logs=logs, channels=channel)
        for each in opened.values():
            each.close()


def connect(address: str, files: TlsFiles | None, certificates: SiteCertificates) -> grpc.Channel:
    """Returns a channel; also for those whom the client's own checks would stop."""
    ca = certificates.authority.certificate_file.read_bytes()
    if files is None:
        credentials = grpc.ssl_channel_credentials(ca)
    else:
        credentials = grpc.ssl_channel_credentials(ca, files.private_key.read_bytes(), files.certificate.read_bytes())
    return grpc.secure_channel(address, credentials, options=OPTIONS)


@contextmanager
def serving_inventory(directory: Path, tls: TlsFiles, audit_log: Path) -> Iterator[str]:
    """Yields the address of an empty inventory."""
    settings = InventorySettings(
        deploy_database=SqliteAccess(path=directory / "deploy.db"),
        deploy_right_database=SqliteAccess(path=directory / "deploy_right.db"),
    )
    engines = inventory.open_engines(settings)
    schema.upgrade(engines)
    server, address = start_in_thread(
        inventory.registration(inventory.build_runtime(settings, engines)),
        ServerSettings(
            service=inventory.SERVICE,
            address=ANY_PORT,
            service_names=inventory.SERVICE_NAMES,
            tls=tls,
            audit_log=audit_log,
        ),
    )
    yield address
    server.stop()
    for engine in engines.values():
        engine.dispose()


@contextmanager
def _bootctl(directory: Path, tls: TlsFiles, audit_log: Path) -> Iterator[str]:
    bed = make_bed(directory)
    assert bed.run("init") == 0
    runtime = bootctl.open_runtime(BootctlSettings.load(bed.settings_file))
    server, address = start_in_thread(
        bootctl.registration(runtime),
        ServerSettings(
            service=bootctl.SERVICE, address=ANY_PORT, service_names=bootctl.SERVICE_NAMES, tls=tls, audit_log=audit_log
        ),
    )
    yield address
    server.stop()
    runtime.entries.close()  # type: ignore[attr-defined]


@contextmanager
def _deployer(directory: Path, tls: TlsFiles, audit_log: Path, inventory_address: str) -> Iterator[str]:
    """Serves in a thread with a loop of its own; the tests' calls are synchronous."""
    database = make_database(directory)
    bound: list[str] = []
    ready, ended = threading.Event(), threading.Event()

    async def serve() -> None:
        world = World(database=database, plan=straight_plan())
        resolver = GrpcInventory(inventory_address, tls=tls)
        console = FakeConsole()
        async with deployer.run_parts(database, world.settings, resolver, console=console, lease_seconds=30.0) as parts:
            server, address = await start_server(
                deployer.registration(parts, frozenset({"root"})),
                ServerSettings(
                    service=deployer.SERVICE,
                    address=ANY_PORT,
                    service_names=deployer.SERVICE_NAMES,
                    tls=tls,
                    audit_log=audit_log,
                ),
            )
            bound.append(address)
            ready.set()
            await asyncio.to_thread(ended.wait)
            parts.log.close()
            await server.stop(grace=1)
        await resolver.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(20)
    yield bound[0]
    ended.set()
    thread.join(20)
    database.close()


def _describe(address: str, administrator: TlsFiles | None) -> None:
    disk = node_pb2.Disk(
        device="vda",
        size_bytes=8 * GIB,
        partitions=[node_pb2.Partition(number=3, size_bytes=4 * GIB, role=node_pb2.PARTITION_ROLE_DEPLOY)],
    )
    nodes = [
        node_pb2.Node(
            name=f"node-{number}",
            mac_address=f"52:54:00:00:00:0{number}",
            ip_address=f"10.0.0.{number}",
            disks=[disk],
        )
        for number in (1, 2)
    ]
    stubs = inventory_service_pb2_grpc
    with open_channel(address, caller="", tls=administrator) as channel:
        stubs.NodeServiceStub(channel).RegisterNodes(
            inventory_service_pb2.RegisterNodesRequest(nodes=nodes), timeout=10
        )
        environment = an_environment(visibility=3)
        stubs.EnvironmentServiceStub(channel).RecordEnvironment(
            inventory_service_pb2.RecordEnvironmentRequest(environment=environment), timeout=10
        )
        stubs.RightServiceStub(channel).GrantRights(
            inventory_service_pb2.GrantRightsRequest(users=["alice"], nodes="node-[1-2]", partitions=["vda3"]),
            timeout=10,
        )
