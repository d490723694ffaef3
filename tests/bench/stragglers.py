"""`make bench-stragglers`: what bad machines cost the good ones of the same deployment, in simulated seconds."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench.machine import machine, save, table
from tests.fakes.deployment_world import make_database
from tests.fakes.timed_site import STRAGGLERS, TimedSite

ROOT = Path(__file__).parents[2]
NODES = 300
COUNTS = (1, 10)
LIMIT = 1.02


async def measure(kind: str, count: int, *, nodes: int = NODES) -> dict[str, Any]:
    """Deploys with so many bad machines of a kind, after a deployment on which all went well.

    Returns:
        When the last good machine was deployed and when the deployment ended, in seconds from its creation, and whether
        each bad machine has its right end.
    """
    with tempfile.TemporaryDirectory() as directory:
        database = make_database(Path(directory))
        site = TimedSite(Path(directory), database, nodes)
        await site.deploy()
        bad = site.spoil(kind, count)
        deployment, seconds = await site.deploy()
        reasons = {node.node: node.reason for node in deployment.nodes}
        await site.world.supervisor.close()
        database.close()
    good = [seconds[name] for name in site.names if name not in bad]
    return {
        "last_good_seconds": round(max(good), 3),
        "deployment_seconds": round((deployment.end_time or 0.0) - deployment.create_time, 3),
        "good_deployed": len(good),
        "bad_end_right": all(reasons[name] is STRAGGLERS[kind].reason for name in bad),
        "bad_reason": str(STRAGGLERS[kind].reason or "none: it is deployed, only later"),
    }


async def _main() -> int:
    figures: dict[str, Any] = {"machine": machine(), "nodes": NODES, "limit": LIMIT, "kinds": {}}
    rows, kept = [], True
    alone = await measure("is as good as the rest", 1)
    for kind in STRAGGLERS:
        for count in COUNTS:
            found = await measure(kind, count)
            ratio = found["last_good_seconds"] / alone["last_good_seconds"]
            right = ratio <= LIMIT and found["bad_end_right"]
            kept = kept and right
            figures["kinds"][f"{count} x {kind}"] = {**found, "ratio": round(ratio, 4)}
            rows.append(
                [
                    f"{count} x {kind}",
                    f"{found['last_good_seconds']:.0f} s",
                    f"{ratio:.3f}",
                    f"{found['deployment_seconds']:.0f} s",
                    found["bad_reason"] if found["bad_end_right"] else "WRONG",
                    "kept" if right else "MISSED",
                ]
            )
    head = [f"of {NODES} nodes", "good ones deployed", "ratio", "deployment ends", "reason of the bad", f"<= {LIMIT}"]
    sys.stdout.write(table(head, rows))
    sys.stdout.write(f"\n{save('stragglers', figures).relative_to(ROOT)}\n")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
