"""Simulated nodes with the real plan: what our own code (and the fakes behind the ports) costs in time and memory."""

import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from kadeploy_deployer.domain.states import DeploymentState
from kadeploy_edge.garbage import settle
from tests.fakes import snapshots
from tests.fakes.deployment_world import make_database
from tests.fakes.simulated_site import SimulatedSite

POLL = 0.2
# Simulated hours pass in seconds: with a short lease, each deployment would renew its own at every turn; a deployer
# renews all of them at once.
LEASE_SECONDS = 86_400.0


async def deploy(deployments: int, nodes: int) -> Mapping[str, float]:
    """Deploys to `nodes` nodes in each of many deployments at once and returns the figures."""
    with tempfile.TemporaryDirectory() as directory:
        database = make_database(Path(directory))
        names = [f"node-{number}" for number in range(1, deployments * nodes + 1)]
        site = SimulatedSite(Path(directory), database, names, lease_seconds=LEASE_SECONDS)
        world = site.world
        # Each deployment asks for the rights on its own nodes, whichever request was resolved last.
        world.inventory.rights = {name: set(snapshots.a_node(name).disk_words) for name in names}
        began, used = time.perf_counter(), time.process_time()
        created = []
        for number in range(deployments):
            mine = names[number * nodes : (number + 1) * nodes]
            world.inventory.resolution = site.resolution(mine)
            created.append((await world.create(site.spec(mine))).id)
        for one in created:
            while (state := (await world.store.position(one)).state) is DeploymentState.DEPLOYING:  # noqa: ASYNC110
                await asyncio.sleep(POLL)
            assert state is DeploymentState.TERMINATED, (await world.store.get(one)).description
        figures = {
            "seconds": round(time.perf_counter() - began, 2),
            "processor_seconds": round(time.process_time() - used, 2),
            "peak_mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        database.close()
        return figures


if __name__ == "__main__":
    settle()
    found = asyncio.run(deploy(int(sys.argv[1]), int(sys.argv[2])))
    sys.stdout.write(" ".join(str(round(value, 2)) for value in found.values()) + "\n")
