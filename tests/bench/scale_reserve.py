"""Reserving nodes through the API: one client, and eight rivals for the same nodes, beside a plain executemany.

The API is real: calls over a Unix socket, through the interceptors, to a commit: SQLite syncs a file,
MariaDB flushes its log to files in memory, so that no disk is measured there. So is the inventory, a process of its own
on databases of the same kind: it resolves the nodes, the environment and the user's right on each node at every call.
Its first call is told apart: it reads every node, and later ones those that have changed. Another figure has an
inventory that is a value in memory, which leaves the deployer's own costs; with that one the rivals are measured.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from sqlalchemy import Column, Integer, MetaData, String, Table, insert
from sqlalchemy.engine import URL

from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc, deployment_pb2
from kadeploy_deployer import service
from kadeploy_deployer.adapters.inventory_grpc import GrpcInventory
from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.states import PartitionState
from kadeploy_deployer.ports import Inventory
from kadeploy_deployer.store import schema
from kadeploy_deployer.store.database import Database
from kadeploy_edge.channel import open_aio_channel
from kadeploy_edge.server import ServerSettings, start_server
from tests.bench.scale_inventory import served_inventory
from tests.fakes.deployment_world import World, resolution
from tests.fakes.fake_console import FakeConsole
from tests.fakes.fake_inventory import FakeInventory
from tests.fakes.scripted_step import ScriptedStep
from tests.mariadb import MariadbServer

ROUNDS = 15
RIVALS = 8
_plain = Table("plain", MetaData(), Column("node", String(255), primary_key=True), Column("number", Integer))


class _Quiet(ScriptedStep):
    """Begins nothing: only the reservation is measured."""


@asynccontextmanager
async def _served(database: Database, inventory: Inventory) -> AsyncIterator[Any]:
    step = _Quiet("boot", PartitionState.TO_DEPLOY, holds=asyncio.Event())
    world = World(database=database, plan=[step])
    with tempfile.TemporaryDirectory() as directory:
        address = f"unix:{directory}/deployer.sock"
        async with service.run_parts(
            database, world.settings, inventory, console=FakeConsole(), lease_seconds=600.0
        ) as parts:
            parts.supervisor.start = _started  # type: ignore[method-assign]
            server, _ = await start_server(
                service.registration(parts, frozenset({"root"})),
                ServerSettings(service=service.SERVICE, address=address, service_names=service.SERVICE_NAMES),
            )
            channels = [open_aio_channel(address, caller="user:alice") for _ in range(RIVALS)]
            yield [deployer_service_pb2_grpc.DeploymentServiceStub(channel) for channel in channels]
            for channel in channels:
                await channel.close()
            await server.stop(grace=1)


def _started(lease: Lease, *, since: float) -> None:
    """Takes the place of the supervisor: what is measured is the reservation alone."""


def _request(nodes: int) -> deployer_service_pb2.CreateDeploymentRequest:
    request = deployer_service_pb2.CreateDeploymentRequest()
    request.spec.nodes = f"node[0-{nodes - 1}]"
    request.spec.environment_name = "debian"
    request.spec.busy_policy = deployment_pb2.BUSY_POLICY_FAIL
    return request


def _free(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM node_locks")


def _executemany(database: Database, nodes: int) -> float:
    """Returns the milliseconds that plain rows take, one a node, in one transaction."""
    rows = [{"node": f"node{number}", "number": number} for number in range(nodes)]
    found = []
    for _ in range(ROUNDS):
        with database.engine.begin() as connection:
            _plain.drop(connection, checkfirst=True)
            _plain.create(connection)
        began = time.perf_counter()
        with database.engine.begin() as connection:
            connection.execute(insert(_plain), rows)
        found.append(time.perf_counter() - began)
    return statistics.median(found) * 1000


async def reserve(url: URL, nodes: int, inventory_urls: Sequence[URL]) -> Mapping[str, Any]:
    """Returns the figures for a kind of database: milliseconds of a call, as its client sees them.

    Args:
        url: of the deployer's database.
        nodes: how many are reserved at once.
        inventory_urls: of the inventory's two.
    """
    database = Database(url)
    schema.upgrade(database.engine)
    plain = _executemany(database, nodes)
    resolved = FakeInventory(resolution([f"node{number}" for number in range(nodes)]))
    async with _served(database, resolved) as stubs:
        _, *alone = await _alone(database, stubs[0], nodes)
        rivals, winners = await _rivals(database, stubs, nodes)
    with served_inventory(nodes, inventory_urls) as address:
        inventory = GrpcInventory(address)
        async with _served(database, inventory) as stubs:
            first, *whole = await _alone(database, stubs[0], nodes)
        await inventory.close()
    database.close()
    median = statistics.median(whole)
    return {
        "nodes": nodes,
        "milliseconds": round(median, 1),
        "best_milliseconds": round(min(whole), 1),
        "first_milliseconds": round(first, 1),
        "deployer_alone_milliseconds": round(statistics.median(alone), 1),
        "deployer_alone_best_milliseconds": round(min(alone), 1),
        "executemany_milliseconds": round(plain, 1),
        "times_executemany": round(median / plain, 1),
        "rivals": RIVALS,
        "rivals_all_answered_milliseconds": round(statistics.median(rivals), 1),
        "rivals_best_milliseconds": round(min(rivals), 1),
        "winners_each_round": sorted(set(winners)),
    }


async def _alone(database: Database, stub: Any, nodes: int) -> Sequence[float]:
    """Returns how long one client waits: for the first call, then for that of each round."""
    found = []
    for _ in range(ROUNDS + 1):
        _free(database)
        began = time.perf_counter()
        created = await stub.CreateDeployment(_request(nodes))
        found.append((time.perf_counter() - began) * 1000)
        assert len(created.nodes) == nodes, f"{len(created.nodes)} nodes were answered"
    return found


async def _rivals(database: Database, stubs: Sequence[Any], nodes: int) -> tuple[Sequence[float], Sequence[int]]:
    """Returns how long it takes until all rivals are answered, and how many win, each round."""
    found, winners = [], []
    for _ in range(ROUNDS):
        _free(database)
        began = time.perf_counter()
        answers = await asyncio.gather(
            *(stub.CreateDeployment(_request(nodes)) for stub in stubs), return_exceptions=True
        )
        found.append((time.perf_counter() - began) * 1000)
        winners.append(sum(not isinstance(answer, grpc.RpcError) for answer in answers))
    return found, winners


def sqlite(nodes: int) -> Mapping[str, Any]:
    """Returns the figures on SQLite, in files; the deployer's is synced at every commit."""
    with tempfile.TemporaryDirectory() as directory:
        urls = [URL.create("sqlite", database=str(Path(directory) / f"{number}.sqlite")) for number in range(3)]
        return asyncio.run(reserve(urls[0], nodes, urls[1:]))


def mariadb(server: MariadbServer, nodes: int) -> Mapping[str, Any]:
    """Returns the figures on a MariaDB server."""
    with ExitStack() as stack:
        urls = [server.url(stack.enter_context(server.database())) for _ in range(3)]
        return asyncio.run(reserve(urls[0], nodes, urls[1:]))
