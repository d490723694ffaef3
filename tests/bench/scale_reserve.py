"""Reserving nodes through the API: one client, and eight rivals for the same nodes, beside a plain executemany."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from sqlalchemy import Column, Integer, MetaData, String, Table, insert
from sqlalchemy.engine import URL

from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc, deployment_pb2
from kadeploy_deployer import service
from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.states import PartitionState
from kadeploy_deployer.store import schema
from kadeploy_deployer.store.database import Database
from kadeploy_rpckit.channel import open_aio_channel
from kadeploy_rpckit.server import start_aio
from tests.fakes.deployment_world import World, resolution
from tests.fakes.fake_console import FakeConsole
from tests.fakes.fake_inventory import FakeInventory
from tests.fakes.scripted_step import ScriptedStep

ROUNDS = 7
RIVALS = 8
_plain = Table("plain", MetaData(), Column("node", String(255), primary_key=True), Column("number", Integer))


class _Quiet(ScriptedStep):
    """Begins nothing: only the reservation is measured."""


@asynccontextmanager
async def _served(database: Database, nodes: int) -> AsyncIterator[Any]:
    names = [f"node{number}" for number in range(nodes)]
    step = _Quiet("boot", PartitionState.TO_DEPLOY, holds=asyncio.Event())
    world = World(database=database, plan=[step], inventory=FakeInventory(resolution(names)))
    with tempfile.TemporaryDirectory() as directory:
        address = f"unix:{directory}/deployer.sock"
        async with service.run_parts(
            database, world.settings, world.inventory, console=FakeConsole(), lease_seconds=600.0
        ) as parts:
            parts.supervisor.start = _started  # type: ignore[method-assign]
            server, _ = await start_aio(
                service.registration(parts, frozenset({"root"})),
                service=service.SERVICE,
                address=address,
                service_names=service.SERVICE_NAMES,
            )
            channels = [open_aio_channel(address, caller="user:alice") for _ in range(RIVALS)]
            yield [deployer_service_pb2_grpc.DeploymentServiceStub(channel) for channel in channels]
            for channel in channels:
                await channel.close()
            await server.stop(grace=1)


def _started(lease: Lease) -> None:
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


async def reserve(url: str | URL, nodes: int) -> Mapping[str, Any]:
    """Returns the figures for a database: milliseconds of a call, as its client sees them."""
    database = Database(url)
    schema.upgrade(database.engine)
    plain = _executemany(database, nodes)
    alone, rivals, winners = [], [], []
    async with _served(database, nodes) as stubs:
        await stubs[0].CreateDeployment(_request(nodes))
        for _ in range(ROUNDS):
            _free(database)
            began = time.perf_counter()
            await stubs[0].CreateDeployment(_request(nodes))
            alone.append((time.perf_counter() - began) * 1000)
        for _ in range(ROUNDS):
            _free(database)
            began = time.perf_counter()
            answers = await asyncio.gather(
                *(stub.CreateDeployment(_request(nodes)) for stub in stubs), return_exceptions=True
            )
            rivals.append((time.perf_counter() - began) * 1000)
            winners.append(sum(not isinstance(answer, grpc.RpcError) for answer in answers))
    database.close()
    median = statistics.median(alone)
    return {
        "nodes": nodes,
        "milliseconds": round(median, 1),
        "best_milliseconds": round(min(alone), 1),
        "executemany_milliseconds": round(plain, 1),
        "times_executemany": round(median / plain, 1),
        "rivals": RIVALS,
        "rivals_all_answered_milliseconds": round(statistics.median(rivals), 1),
        "rivals_best_milliseconds": round(min(rivals), 1),
        "winners_each_round": sorted(set(winners)),
    }


def sqlite(nodes: int) -> Mapping[str, Any]:
    """Returns the figures on SQLite, in a file that is synced at every commit."""
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(reserve(f"sqlite:///{Path(directory) / 'deployer.sqlite'}", nodes))
