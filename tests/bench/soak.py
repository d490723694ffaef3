"""A soak in simulation: deployments, reboots, watchers and cancels, again and again, on real services."""

import asyncio
import random
import time
from collections import Counter
from typing import Any

import grpc

from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc, deployment_pb2
from kadeploy_edge.channel import open_aio_channel
from kadeploy_edge.status import from_rpc_error
from tests.bench.process_figures import judge, sample
from tests.tls_site import TlsSite

GROUPS, GROUP = 6, 8
SAMPLES = 40
CANCEL_SHARE, REBOOT_SHARE, LEAVE_SHARE = 0.2, 0.3, 0.3
ROUND_SECONDS = 120.0
KEPT_KIB = 48
"""What a finished deployment of GROUP nodes may leave in the database: rows, events and outputs, kept for a year."""


async def soak(site: TlsSite, *, seconds: float) -> dict[str, Any]:
    """Runs groups of nodes side by side for so long, and returns the figures."""
    counts: Counter[str] = Counter()
    deadline = time.monotonic() + seconds
    samples = []
    async with open_aio_channel(site.addresses["deployer"], caller="", tls=site.files("root")) as channel:
        groups = [asyncio.create_task(_group(site, channel, number, deadline, counts)) for number in range(GROUPS)]
        while time.monotonic() < deadline:
            await asyncio.sleep(max(0.5, seconds / SAMPLES))
            samples.append(sample(site))
        await asyncio.gather(*groups)
    grown = counts["deployments"] * KEPT_KIB / 1024
    judged = judge(samples, database_mib=2 + grown)
    return {
        "seconds": seconds,
        "counts": dict(counts),
        "services": judged,
        "flat": all(one["is_flat"] for one in judged.values()),
        "errors": sum(count for name, count in counts.items() if name.startswith("error ")),
    }


async def _group(site: TlsSite, channel: grpc.aio.Channel, number: int, deadline: float, counts: Counter[str]) -> None:
    """Deploys, cancels, watches and reboots one group of nodes until the time is over."""
    chance = random.Random(number)  # noqa: S311 - no secret
    first = number * GROUP + 1
    nodes = f"node-[{first}-{first + GROUP - 1}]"
    deployments = deployer_service_pb2_grpc.DeploymentServiceStub(channel)
    control = deployer_service_pb2_grpc.NodeControlServiceStub(channel)
    spec = deployment_pb2.DeploymentSpec(nodes=nodes, environment_name="debian", device="sda", partition=3)
    while time.monotonic() < deadline:
        try:
            async with asyncio.timeout(ROUND_SECONDS):
                made = await deployments.CreateDeployment(deployer_service_pb2.CreateDeploymentRequest(spec=spec))
                counts["deployments"] += 1
                if chance.random() < CANCEL_SHARE:
                    await deployments.CancelDeployment(deployer_service_pb2.CancelDeploymentRequest(id=made.id))
                    counts["cancels"] += 1
                await _watch(site, made.id, counts, leaves=chance.random() < LEAVE_SHARE)
                await _finished(deployments, made.id)
                if chance.random() < REBOOT_SHARE:
                    request = deployer_service_pb2.RebootNodesRequest(
                        nodes=nodes, prepare_only=True, deployment_kernel=deployer_service_pb2.DeploymentKernelReboot()
                    )
                    async for _ in control.RebootNodes(request):
                        pass
                    counts["reboots"] += 1
        except grpc.RpcError as error:
            remote = from_rpc_error(error)
            counts[f"error {remote.reason or remote.code.name}"] += 1
            await asyncio.sleep(1)
        except TimeoutError:
            counts["error too slow"] += 1


async def _watch(site: TlsSite, deployment_id: str, counts: Counter[str], *, leaves: bool) -> None:
    """Watches from a connection of its own; some watchers leave in the middle."""
    async with open_aio_channel(site.addresses["deployer"], caller="", tls=site.files("alice")) as channel:
        stub = deployer_service_pb2_grpc.DeploymentServiceStub(channel)
        seen = 0
        async for _ in stub.WatchDeployment(deployer_service_pb2.WatchDeploymentRequest(id=deployment_id)):
            seen += 1
            if leaves and seen == GROUP:
                break
    counts["watches"] += 1


async def _finished(deployments: Any, deployment_id: str) -> None:
    running = (deployment_pb2.DEPLOYMENT_STATE_WAITING, deployment_pb2.DEPLOYMENT_STATE_DEPLOYING)
    while True:
        found = await deployments.GetDeployment(deployer_service_pb2.GetDeploymentRequest(id=deployment_id))
        if found.state not in running:
            return
        await asyncio.sleep(0.2)
