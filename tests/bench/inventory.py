"""How long 10,000 nodes of one file take to be registered, on both databases: `python -m tests.bench.inventory`.

Measured is the one call, from a client through a real server to the commit. Beside it stands the floor: the very same
rows, written by the driver's plain `executemany` in one transaction into the same tables. What the command needs to
read the file is told apart. Each number is the best of several rounds; the ratio is the call over the floor.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import Dialect, Engine, MetaData, Table, insert, text
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.engine import URL

from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc, node_pb2
from kadeploy_cli.nodes import actions as client_nodes
from kadeploy_database.access import SqliteAccess
from kadeploy_edge.channel import open_channel
from kadeploy_edge.garbage import settle
from kadeploy_edge.server import ServerSettings
from kadeploy_inventory import bootstrap
from kadeploy_inventory.settings import Settings
from kadeploy_inventory.store import schema
from kadeploy_inventory.store.engine import WRITES, open_engine
from tests.fakes.threaded_server import start_in_thread
from tests.mariadb import running_server

NODES = 10_000
ROUNDS = 3
RESULT = Path(__file__).parents[2] / "build" / "bench" / "inventory.json"
WRITTEN = ("nodes", "disks", "partitions")
LAYOUT = "\\# the disk of every node\nsda 80000\n1 2000 swap\n2 20000 undefined\n3 57000 undefined\n"
CALL_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What was measured on one engine, in seconds."""

    engine: str
    nodes: int
    rows: int
    read_file: float
    register: float
    floor: float
    ratio: float
    register_again: float
    load: float


def description() -> str:
    """Returns a classic description of 10,000 nodes."""
    lines = [
        f"node-{number} 02:00:00:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x} "
        f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        for number in range(1, NODES + 1)
    ]
    return "\n".join(lines) + "\n" + LAYOUT


@contextmanager
def opened(urls: Callable[[str], URL]) -> Iterator[dict[str, Engine]]:
    """Yields the two databases with their tables."""
    engines = {name: open_engine(urls(name)) for name in schema.METADATA}
    try:
        schema.upgrade(engines)
        yield engines
    finally:
        for engine in engines.values():
            engine.dispose()


def register(engines: dict[str, Engine], directory: Path, described: Sequence[node_pb2.Node]) -> tuple[float, float]:
    """Returns how long the call takes, and the same call again, which then changes nothing."""
    nowhere = SqliteAccess(path=directory / "none")
    runtime = bootstrap.build_runtime(Settings(deploy_database=nowhere, deploy_right_database=nowhere), engines)
    server, address = start_in_thread(
        bootstrap.registration(runtime),
        ServerSettings(service=bootstrap.SERVICE, address=f"unix:{directory}/s", service_names=bootstrap.SERVICE_NAMES),
    )
    try:
        with open_channel(address, caller="user:root") as channel:
            stub = inventory_service_pb2_grpc.NodeServiceStub(channel)
            request = inventory_service_pb2.RegisterNodesRequest(nodes=described)
            taken = []
            for expected in (NODES, 0):
                begin = time.perf_counter()
                answer = stub.RegisterNodes(request, timeout=CALL_SECONDS)
                taken.append(time.perf_counter() - begin)
                if len(answer.created) != expected:
                    raise RuntimeError(f"{len(answer.created)} nodes were created instead of {expected}")
    finally:
        server.stop()
    return taken[0], taken[1]


def floor(source: Engine, target: Engine) -> tuple[float, int]:
    """Returns how long the driver's executemany takes for the rows of one database, and how many there are."""
    # Without the types of our tables: what the driver hands out is what it takes.
    plain = MetaData()
    with source.connect() as connection:
        tables = [Table(name, plain, autoload_with=connection) for name in WRITTEN]
        rows = {
            table.name: [tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table.name}")]  # noqa: S608
            for table in tables
        }
    # In the order of the columns as they stand, like the rows.
    statements = {table.name: str(insert(table).compile(dialect=_positional(target))) for table in tables}
    writing = target.execution_options(**{WRITES: True})
    begin = time.perf_counter()
    with writing.begin() as connection:
        cursor = connection.connection.cursor()
        for table in tables:
            cursor.executemany(statements[table.name], rows[table.name])
        cursor.close()
    taken = time.perf_counter() - begin
    with target.connect() as connection:
        written = sum(
            connection.execute(text(f"SELECT COUNT(*) FROM {name}")).scalar_one()  # noqa: S608
            for name in WRITTEN
        )
    if written != sum(len(found) for found in rows.values()):
        raise RuntimeError("the floor has not written all rows")
    return taken, written


def _positional(engine: Engine) -> Dialect:
    return sqlite.dialect(paramstyle="qmark") if engine.dialect.name == "sqlite" else mysql.dialect(paramstyle="format")


def measure(name: str, urls: Callable[[int, str], URL], directory: Path) -> Measurement:
    """Returns the best of several rounds on one engine."""
    file = directory / "nodes"
    file.write_text(description(), encoding="ascii")
    reading, calls, again, floors = [], [], [], []
    rows = 0
    load = os.getloadavg()[0]
    for number in range(ROUNDS):
        begin = time.perf_counter()
        described = client_nodes.described(str(file)).nodes
        reading.append(time.perf_counter() - begin)
        with ExitStack() as stack:
            ours = stack.enter_context(opened(partial(urls, 2 * number)))
            plain = stack.enter_context(opened(partial(urls, 2 * number + 1)))
            first, second = register(ours, directory, described)
            calls.append(first)
            again.append(second)
            taken, rows = floor(ours["deploy"], plain["deploy"])
            floors.append(taken)
    return Measurement(
        engine=name,
        nodes=NODES,
        rows=rows,
        read_file=min(reading),
        register=min(calls),
        floor=min(floors),
        ratio=min(calls) / min(floors),
        register_again=min(again),
        load=load,
    )


def main() -> int:
    """Measures, prints a table, writes the JSON file."""
    settle()
    found = []
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kadeploy-bench-")))
        found.append(
            measure(
                "sqlite", lambda number, name: URL.create("sqlite", database=f"{directory}/{name}{number}"), directory
            )
        )
        server = stack.enter_context(running_server())

        def on_server(number: int, name: str) -> URL:
            server.run(f"CREATE DATABASE bench_{name}_{number}")
            return server.url(f"bench_{name}_{number}")

        found.append(measure("mariadb", on_server, directory))
    head = ("engine", "nodes", "rows", "read file s", "register s", "floor s", "ratio", "again s", "load")
    lines: list[tuple[str, ...]] = [head]
    for each in found:
        seconds = (each.read_file, each.register, each.floor, each.ratio, each.register_again, each.load)
        lines.append((each.engine, str(each.nodes), str(each.rows), *(f"{value:.2f}" for value in seconds)))
    for line in lines:
        sys.stdout.write("".join(f"{word:>12}" for word in line) + "\n")
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps([asdict(each) for each in found], indent=2) + "\n", encoding="ascii")
    sys.stdout.write(f"written to {RESULT}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
