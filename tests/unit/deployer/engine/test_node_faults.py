"""Five nodes and the real plan: one node goes wrong in its own way, and the others are deployed."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.snapshot import ArchiveSnapshot
from kadeploy_deployer.domain.states import DeploymentState, FailureReason, PartitionState
from kadeploy_deployer.domain.vocabulary import Compression
from kadeploy_deployer.ports import OpenedFile
from kadeploy_deployer.store.database import Database
from tests.fakes.deployment_world import make_database
from tests.fakes.fake_broadcast import FakeBroadcast, FakeSession
from tests.fakes.fake_machines import DEPLOYMENT, PREVIOUS
from tests.fakes.simulated_site import SimulatedSite
from tests.fakes.snapshots import MIB

pytestmark = pytest.mark.integration

NAMES = tuple(f"node-{number}" for number in range(1, 6))
BAD = "node-3"
Sabotage = Callable[[SimulatedSite], None]


class BroadcastThatLoses(FakeBroadcast):
    """Loses a machine in the middle of the copy: it goes dark, and has received half."""

    def __init__(self, site: SimulatedSite) -> None:
        super().__init__()
        self._site = site

    @asynccontextmanager
    async def session(self, file: OpenedFile, *, digest: str, user: str) -> AsyncIterator[FakeSession]:
        """As in the port."""
        self._site.machines[BAD].powered = False
        self._site.workshop.power.broken.add(BAD)
        text = "received 500 of 1000 bytes, then the connection broke"
        self.failures[BAD] = Failure(reason=FailureReason.TRANSFER_FAILED, description=text)
        async with super().session(file, digest=digest, user=user) as session:
            yield session


def never_boots(site: SimulatedSite) -> None:
    site.machines[BAD].boot_seconds = 1e9


def has_a_small_disk(site: SimulatedSite) -> None:
    site.machines[BAD].disk_bytes = 100 * MIB


def dies_in_the_copy(site: SimulatedSite) -> None:
    ports = site.world.settings.ports
    site.world.settings = replace(site.world.settings, ports=replace(ports, broadcast=BroadcastThatLoses(site)))


def fails_its_post_install(site: SimulatedSite) -> None:
    file = site.workshop.images.add("file:///post.tgz", b"an archive", compression=Compression.GZIP)
    found = site.world.inventory.resolution
    archive = ArchiveSnapshot(file=file, script="traitement.ash")
    site.world.inventory.resolution = replace(found, environment=replace(found.environment, postinstalls=(archive,)))
    site.workshop.shell.answer("/rambin/traitement.ash", node=BAD, exit_status=3, stderr="no such user\n")


def boots_its_old_system(site: SimulatedSite) -> None:
    machine = site.machines[BAD]
    machine.boots = [DEPLOYMENT, *[PREVIOUS] * 9]


def runs_from_another_partition(site: SimulatedSite) -> None:
    site.machines[BAD].root = "vda2"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = make_database(tmp_path)
    yield database
    database.close()


@pytest.mark.parametrize(
    ("sabotage", "reason", "told"),
    [
        (never_boots, FailureReason.NOT_THERE_ON_FIRST_CHECK, "refused the connection"),
        (has_a_small_disk, FailureReason.PARTITION_TOO_SMALL, "vda"),
        (dies_in_the_copy, FailureReason.TRANSFER_FAILED, "received 500 of 1000 bytes"),
        (fails_its_post_install, FailureReason.POSTINSTALL_FAILED, "exit 3: no such user"),
        (boots_its_old_system, FailureReason.WRONG_SYSTEM_BOOTED, "host key"),
        (runs_from_another_partition, FailureReason.WRONG_SYSTEM_BOOTED, ""),
    ],
)
async def test_a_node_that_goes_wrong_gets_its_reason_and_the_others_are_deployed(
    sabotage: Sabotage, reason: FailureReason, told: str, tmp_path: Path, database: Database
) -> None:
    site = SimulatedSite(tmp_path, database, NAMES)
    sabotage(site)

    deployment = await site.world.run(site.spec())

    assert deployment.state is DeploymentState.ERROR
    assert "4 of 5 nodes deployed; failed: node-3" in deployment.description
    by_name = {node.node: node for node in deployment.nodes}
    bad = by_name.pop(BAD)
    assert (bad.state, bad.reason) == (PartitionState.ERROR, reason)
    assert told in bad.description
    assert {node.state for node in by_name.values()} == {PartitionState.DEPLOYED}
    assert await site.world.store.holders(NAMES) == {}


async def test_all_are_deployed_when_nothing_goes_wrong(tmp_path: Path, database: Database) -> None:
    site = SimulatedSite(tmp_path, database, NAMES)

    deployment = await site.world.run(site.spec())

    assert deployment.state is DeploymentState.TERMINATED
    assert deployment.nodes[0].facts.host_keys == ("ssh-ed25519 HOST0",)
