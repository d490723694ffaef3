"""A small world for the deployer: nodes, an environment, a database in a directory, and a process around it."""

import asyncio
import functools
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlalchemy import Connection

from kadeploy_deployer.domain.deployment import Deployment, Lease
from kadeploy_deployer.domain.lease_record import LeaseKind
from kadeploy_deployer.domain.snapshot import (
    DeploymentSpec,
    DiskSnapshot,
    EnvironmentSnapshot,
    FileSnapshot,
    NodeSnapshot,
    PartitionSnapshot,
    ProfileSnapshot,
)
from kadeploy_deployer.engine.event_log import EventLog
from kadeploy_deployer.engine.runner import Runner
from kadeploy_deployer.engine.shared_context import RunnerSettings
from kadeploy_deployer.engine.shared_images import make_readers
from kadeploy_deployer.engine.supervisor import Supervisor
from kadeploy_deployer.files.file_threads import FileThreads
from kadeploy_deployer.nodes.reboot_window import RebootWindows
from kadeploy_deployer.ports import BootFiles, Clock, ImageStore, OpenedFile, Resolution, ResolvedNode, Timer
from kadeploy_deployer.ports.step_ports import StepPorts
from kadeploy_deployer.ports.store_values import NewDeployment, NewNode
from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_deployer.requests.deployments import create_deployment
from kadeploy_deployer.steps.step import Step, StepContext
from kadeploy_deployer.store import schema
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore
from tests.fakes.fake_inventory import FakeInventory

GIB = 1024**3
ALICE = Actor(user="alice")
SPEC = DeploymentSpec(nodes="node[1-2]", environment_name="debian")
_numbers = itertools.count(1)
_Result = TypeVar("_Result")


class WallClock:
    """The real time."""

    def now(self) -> float:
        """As in the port."""
        return time.time()

    def monotonic(self) -> float:
        """As in the port."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """As in the port."""
        await asyncio.sleep(seconds)

    async def synchronise(self) -> float:
        """As in the port."""
        return 0.0

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """As in the port."""
        return asyncio.get_running_loop().call_later(seconds, callback)


def node(name: str) -> NodeSnapshot:
    """Returns a node with one disk and a target of 4 GiB."""
    return NodeSnapshot(
        name=name,
        mac_address="02:00:00:00:00:01",
        ip_address="10.0.0.1",
        cluster="main",
        device="vda",
        partition=3,
        disks=(
            DiskSnapshot(
                device="vda",
                size_bytes=8 * GIB,
                partitions=(PartitionSnapshot(number=3, size_bytes=4 * GIB),),
            ),
        ),
    )


def environment() -> EnvironmentSnapshot:
    """Returns an environment with a small image."""
    image = FileSnapshot(uri="server:///images/debian.tar.zst", digest="sha256:" + "0" * 64, size_bytes=1000)
    return EnvironmentSnapshot(name="debian", version=1, owner="root", image=image)


def resolution(names: Sequence[str] = ("node1", "node2"), **changes: Any) -> Resolution:
    """Returns nodes that everybody may deploy to."""
    return replace(
        Resolution(
            nodes=tuple(ResolvedNode(name=name, snapshot=node(name), allowed=True) for name in names),
            environment=environment(),
            profiles={"main": ProfileSnapshot()},
        ),
        **changes,
    )


async def leave_bootable(_context: StepContext, _node: str) -> None:
    """Leaves everything bootable without doing anything."""


@functools.cache
def _empty_database() -> bytes:
    """Returns the file of an empty database with the newest schema; the migrations run once per process."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "template.sqlite"
        database = Database(f"sqlite:///{path}")
        schema.upgrade(database.engine)
        database.close()
        return path.read_bytes()


class AnyImages(ImageStore):
    """Has every file; none has a content."""

    def check(self, file: FileSnapshot) -> None:
        """Allows every address."""

    @asynccontextmanager
    async def fetch(self, file: FileSnapshot, *, user: str) -> AsyncIterator[OpenedFile]:
        """Gives an empty file."""
        with OpenedFile.open(Path("/dev/null"), name=file.uri) as opened:
            yield opened

    async def boot_files(self, environment: EnvironmentSnapshot, *, user: str) -> BootFiles:
        """Returns paths where nothing is."""
        return BootFiles(kernel=Path("/absent"), kernel_digest="", initrd=None, initrd_digest="")


class WatchedDatabase(Database):
    """Knows how many calls are under way: a manual clock stands still meanwhile."""

    pending = 0

    async def read(self, work: Callable[[Connection], _Result]) -> _Result:
        """Counts."""
        with self._counted():
            return await super().read(work)

    async def write(
        self, work: Callable[[Connection], _Result], *, patience: float = 0.0, grows: bool = False
    ) -> _Result:
        """Counts."""
        with self._counted():
            return await super().write(work, patience=patience, grows=grows)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.pending += 1
        try:
            yield
        finally:
            self.pending -= 1


def make_database(directory: Path) -> WatchedDatabase:
    """Returns the database of a directory, made with the newest schema when there is none."""
    path = directory / "deployer.sqlite"
    if not path.exists():
        path.write_bytes(_empty_database())
    return WatchedDatabase(f"sqlite:///{path}")


def new_deployment(name: str, nodes: Sequence[str], *, now: float | None = None, **changes: Any) -> NewDeployment:
    """Returns a deployment to be stored, which the driver of the same name would drive."""
    now = time.time() if now is None else now
    spec = replace(SPEC, **{key: changes.pop(key) for key in list(changes) if key in ("busy_policy", "wait_timeout")})
    values: dict[str, Any] = {
        "id": name,
        "owner": "alice",
        "request_id": "",
        "fingerprint": "",
        "needs_right": True,
        "spec": spec,
        "environment": environment(),
        "profiles": {"main": ProfileSnapshot()},
        "nodes": tuple(NewNode(name=one, snapshot=node(one)) for one in nodes),
        "secret": "s",
        "driver": name,
        "lease_seconds": 30.0,
        "wait_seconds": spec.wait_timeout,
        "now": now,
    }
    return NewDeployment(**(values | changes))


async def claim_all(store: SqlDeploymentStore, driver: str, *, lease_seconds: float = 30.0) -> Sequence[Lease]:
    """Takes every deployment over for a driver, as if none of their leases had been renewed for long."""
    held = [lease for lease in await store.list_leases() if lease.kind is LeaseKind.DEPLOYMENT]
    return await store.claim(held, driver=driver, now=time.time(), lease_seconds=lease_seconds)


@dataclass(kw_only=True)
class World:
    """One deployer process: store, supervisor and all, with scripted steps."""

    database: Database
    plan: Sequence[Step]
    clock: Clock = field(default_factory=WallClock)
    inventory: FakeInventory = field(default_factory=lambda: FakeInventory(resolution()))
    lease_seconds: float = 30.0
    recover: Any = leave_bootable
    ports: StepPorts | None = None
    host_keys: tuple[str, ...] = ("ssh-ed25519 AAAA",)
    look_seconds: float = 0.05
    readers: FileThreads = field(default_factory=make_readers)

    def __post_init__(self) -> None:
        """Joins the parts."""
        self.log = EventLog(poll_seconds=0.05, heartbeat_seconds=10.0)
        self.store = SqlDeploymentStore(self.database, on_commit=self.log.wake)
        ports = self.ports or StepPorts(
            shell=cast("Any", None),
            power=cast("Any", None),
            boot=cast("Any", None),
            images=AnyImages(),
            broadcast=cast("Any", None),
            clock=self.clock,
        )
        self.settings = RunnerSettings(
            plan=self.plan,
            ports=ports,
            windows=RebootWindows(ports.clock),
            leave_bootable=self.recover,
            deployment_host_keys=self.host_keys,
            cluster_public_key="ssh-ed25519 BBBB",
            readers=self.readers,
        )
        self.supervisor = Supervisor(
            store=self.store,
            clock=self.clock,
            make_runner=lambda lease: Runner(
                lease=lease, store=self.store, log=self.log, settings=self.settings, inventory=self.inventory
            ),
            driver=f"driver-{next(_numbers)}",
            lease_seconds=self.lease_seconds,
            look_seconds=self.look_seconds,
        )

    async def create(self, spec: DeploymentSpec = SPEC, *, actor: Actor = ALICE, request_id: str = "") -> Deployment:
        """Creates a deployment, as the call does."""
        return await create_deployment(
            spec,
            request_id=request_id,
            fingerprint=sha256(repr(spec).encode()).hexdigest(),
            actor=actor,
            inventory=self.inventory,
            images=self.settings.ports.images,
            store=self.store,
            supervisor=self.supervisor,
            clock=self.clock,
        )

    async def claim_all(self, driver: str, *, lease_seconds: float = 30.0) -> Sequence[Lease]:
        """Takes every deployment over for a driver, as if none of their leases had been renewed for long."""
        return await claim_all(self.store, driver, lease_seconds=lease_seconds)

    async def die(self) -> None:
        """Stops without a word, as a process that is killed: no lease is given back, and nobody renews any."""
        tasks = [one.task for one in self.supervisor._driven.values() if one.task is not None]
        if self.supervisor._loop is not None:
            tasks.append(self.supervisor._loop)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def finished(self, deployment_id: str, *, within: float = 15.0) -> Deployment:
        """Returns the deployment as soon as it has ended."""
        async with asyncio.timeout(within):
            while True:
                deployment = await self.store.get(deployment_id)
                if deployment.finished:
                    return deployment
                await asyncio.sleep(0.01)

    async def run(self, spec: DeploymentSpec = SPEC) -> Deployment:
        """Creates a deployment and returns it when it has ended."""
        return await self.finished((await self.create(spec)).id)
