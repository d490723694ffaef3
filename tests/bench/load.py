"""`make bench-load`: many watchers and calls on real services over mutual TLS, then a soak; build/bench/load.json."""

import argparse
import asyncio
import json
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc, deployment_pb2
from kadeploy.inventory.v1 import inventory_service_pb2_grpc
from kadeploy_edge.channel import open_aio_channel
from tests.bench.load_callers import Tally, call_at_rate, reads, watch
from tests.bench.machine import machine, save
from tests.bench.process_figures import judge, processor_seconds, sample
from tests.bench.soak import GROUP, GROUPS, soak
from tests.fakes.paced_deployer import PACE
from tests.integration.inventory.requests import an_environment, recording
from tests.tls_site import TlsSite, tls_site

ROOT = Path(__file__).parents[2]
NODES = GROUPS * GROUP
WATCHERS, PER_SECOND, SECONDS, SOAK_SECONDS = 200, 500.0, 60.0, 3600.0
CALLERS = 10
"""Users who share the calls: each may make a hundred a second."""
READY_SECONDS = 120.0
SAMPLES = 30
STEP_SECONDS = 0.05


def main() -> int:
    """Measures, prints what came of it, and writes build/bench/load.json. Status 1: an error, or something grew."""
    options = _parser().parse_args()
    figures: dict[str, Any] = {"machine_before": machine()}
    with (
        TemporaryDirectory() as place,
        tls_site(Path(place), node_count=NODES, deployer_module="tests.fakes.paced_deployer") as site,
    ):
        _furnish(site)
        if options.seconds:
            figures["load"] = asyncio.run(_load(site, options))
        if options.soak:
            figures["soak"] = asyncio.run(soak(site, seconds=options.soak))
    figures["machine_after"] = machine()
    path = save("load", figures)
    sys.stdout.write(json.dumps({key: figures[key] for key in ("load", "soak") if key in figures}, indent=2))
    sys.stdout.write(f"\n{path.relative_to(ROOT)}\n")
    return (
        0
        if all(figures[key]["flat"] and not figures[key]["errors"] for key in ("load", "soak") if key in figures)
        else 1
    )


def _furnish(site: TlsSite) -> None:
    for number in range(CALLERS):
        site.certificates.issue("user", f"caller{number}")
    (site.directory / PACE).write_text(json.dumps({"seconds": STEP_SECONDS, "held": []}))
    with site.channel("inventory", "root") as channel:
        stub = inventory_service_pb2_grpc.EnvironmentServiceStub(channel)
        stub.RecordEnvironment(recording(an_environment(visibility=3)), timeout=30)


async def _load(site: TlsSite, options: argparse.Namespace) -> dict[str, Any]:
    pace = site.directory / PACE
    held = [f"node-{number}" for number in range(1, NODES + 1)]
    pace.write_text(json.dumps({"seconds": STEP_SECONDS, "held": held}))
    deployment_id = await _deploy(site)
    watched, called = Tally(), Tally()
    ready: asyncio.Queue[None] = asyncio.Queue()
    watchers = [
        asyncio.create_task(watch(site, f"caller{number % CALLERS}", deployment_id, watched, ready))
        for number in range(options.watchers)
    ]
    async with asyncio.timeout(READY_SECONDS):
        for _ in watchers:
            await ready.get()
    samples = [sample(site)]
    begun, costs = time.monotonic(), processor_seconds(site)
    calling = [
        asyncio.create_task(_call(site, f"caller{number}", deployment_id, called, options)) for number in range(CALLERS)
    ]
    while not all(task.done() for task in calling):
        await asyncio.sleep(max(0.2, options.seconds / SAMPLES))
        samples.append(sample(site))
    await asyncio.gather(*calling)
    took = time.monotonic() - begun
    costs = {service: round(now - costs[service], 2) for service, now in processor_seconds(site).items()}
    still = sum(not task.done() for task in watchers)
    pace.write_text(json.dumps({"seconds": STEP_SECONDS, "held": []}))
    async with asyncio.timeout(READY_SECONDS):
        await asyncio.gather(*watchers)
    judged = judge(samples)
    failures = called.failures + watched.failures
    return {
        "watchers": options.watchers,
        "watchers_to_the_end": still,
        "watch_messages": watched.messages,
        "calls_per_second_wanted": options.per_second,
        "calls_per_second": round(len(called.seconds) / took, 1),
        "calls": len(called.seconds),
        "p50_milliseconds": round(statistics.median(called.seconds) * 1000, 2),
        "p99_milliseconds": round(statistics.quantiles(called.seconds, n=100)[-1] * 1000, 2),
        "processor_seconds": costs,
        "failures": dict(failures),
        "errors": sum(failures.values()) + options.watchers - still,
        "services": judged,
        "flat": all(one["is_flat"] for one in judged.values()),
    }


async def _deploy(site: TlsSite) -> str:
    async with open_aio_channel(site.addresses["deployer"], caller="", tls=site.files("root")) as channel:
        spec = deployment_pb2.DeploymentSpec(
            nodes=f"node-[1-{NODES}]", environment_name="debian", device="sda", partition=3
        )
        made = await deployer_service_pb2_grpc.DeploymentServiceStub(channel).CreateDeployment(
            deployer_service_pb2.CreateDeploymentRequest(spec=spec)
        )
        return str(made.id)


async def _call(site: TlsSite, user: str, deployment_id: str, tally: Tally, options: argparse.Namespace) -> None:
    files = site.files(user)
    async with (
        open_aio_channel(site.addresses["deployer"], caller="", tls=files) as deployer,
        open_aio_channel(site.addresses["inventory"], caller="", tls=files) as inventory,
    ):
        calls = reads(deployer, inventory, deployment_id)
        await call_at_rate(calls, tally, per_second=options.per_second / CALLERS, seconds=options.seconds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench-load", description="Load and soak on real services.")
    parser.add_argument("--watchers", type=int, default=WATCHERS, metavar="N", help=f"default: {WATCHERS}")
    parser.add_argument("--per-second", type=float, default=PER_SECOND, metavar="N", help=f"calls; {PER_SECOND:g}")
    parser.add_argument("--seconds", type=float, default=SECONDS, metavar="N", help="of the load; 0: none")
    parser.add_argument("--soak", type=float, default=SOAK_SECONDS, metavar="N", help="seconds; 0: none")
    return parser


if __name__ == "__main__":
    sys.exit(main())
