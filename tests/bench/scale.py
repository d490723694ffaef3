"""`make bench-scale`: what deployments cost at the size of the largest clusters, beside their limits."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from kadeploy_edge.garbage import settle
from tests.bench.machine import machine, save, table
from tests.bench.scale_reserve import mariadb, sqlite
from tests.mariadb import running_server

ROOT = Path(__file__).parents[2]
SHAPES = {
    "one deployment of 4,000 nodes": (1, 4000),
    "one deployment of 20,000 nodes": (1, 20_000),
    "200 deployments of 20 nodes at once": (200, 20),
}
# The most seconds and MiB of memory that each of them may take.
LIMITS = {
    "one deployment of 4,000 nodes": (10.0, 300.0),
    "one deployment of 20,000 nodes": (60.0, 1024.0),
    "200 deployments of 20 nodes at once": (60.0, 1024.0),
}
LIMIT_RESERVE = {("sqlite", 1000): 50, ("sqlite", 10_000): 300, ("mariadb", 1000): 100, ("mariadb", 10_000): 1000}
LIMIT_RIVALS = 250.0


def _deploy(shape: tuple[int, int]) -> dict[str, Any]:
    # In a process of its own: the peak of the memory is the process's.
    command = [sys.executable, "-m", "tests.bench.scale_deploy", *map(str, shape)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=True)
    names = ("seconds", "processor_seconds", "peak_mebibytes")
    return dict(zip(names, map(float, done.stdout.split()), strict=True))


def main() -> None:
    """Runs all, prints tables, and writes build/bench/scale.json."""
    figures: dict[str, Any] = {"machine_before": machine(), "deployments": {}, "reservations": {}}
    for name, shape in SHAPES.items():
        figures["deployments"][name] = _deploy(shape)
    settle()
    for nodes in (1000, 10_000):
        figures["reservations"][f"sqlite {nodes}"] = sqlite(nodes)
    with running_server() as server:
        # Tests do without; a site's database does not.
        server.run("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
        for nodes in (1000, 10_000):
            figures["reservations"][f"mariadb {nodes}"] = mariadb(server, nodes)
    figures["machine_after"] = machine()
    sys.stdout.write(_deployments(figures) + "\n" + _reservations(figures))
    path = save("scale", figures)
    load = figures["machine_after"]["load_average"]
    sys.stdout.write(
        f"\nload {load} on {figures['machine_after']['processors']} processors; {path.relative_to(ROOT)}\n"
    )


def _deployments(figures: dict[str, Any]) -> str:
    rows = []
    for name, one in figures["deployments"].items():
        seconds, mebibytes = LIMITS[name]
        kept = one["seconds"] <= seconds and one["peak_mebibytes"] <= mebibytes
        rows.append(
            [
                name,
                f"{one['seconds']:.1f} s",
                f"{one['processor_seconds']:.1f} s",
                f"{one['peak_mebibytes']:.0f} MiB",
                f"{seconds:g} s, {mebibytes:g} MiB: {_verdict(kept)}",
            ]
        )
    return table(["own code and fakes", "took", "processor", "peak memory", "limit"], rows)


def _reservations(figures: dict[str, Any]) -> str:
    rows = []
    for name, one in figures["reservations"].items():
        engine, nodes = name.split()
        limit = LIMIT_RESERVE[engine, int(nodes)]
        rivals = one["rivals_all_answered_milliseconds"]
        told = f"{rivals:.0f} ms, {'/'.join(map(str, one['winners_each_round']))} wins"
        rows.append(
            [
                name,
                f"{one['milliseconds']:.0f} ms (best {one['best_milliseconds']:.0f})",
                f"{limit} ms: {_verdict(one['milliseconds'] <= limit)}",
                f"{one['first_milliseconds']:.0f} ms",
                f"{one['deployer_alone_milliseconds']:.0f} ms (best {one['deployer_alone_best_milliseconds']:.0f})",
                f"{one['times_executemany']} x {one['executemany_milliseconds']:.0f} ms",
                told if int(nodes) > 1000 else f"{told}: {_verdict(rivals <= LIMIT_RIVALS)}",
            ]
        )
    head = ["reserving, as the client sees it", "median", "limit", "first call", "without inventory"]
    return table([*head, "of a plain executemany", "8 rivals"], rows)


def _verdict(kept: bool) -> str:
    return "kept" if kept else "MISSED"


if __name__ == "__main__":
    main()
