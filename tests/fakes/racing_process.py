"""One of several processes that create deployments of the same nodes at once."""

import asyncio
import sys
import time

from kadeploy_deployer.domain.states import BusyPolicy
from kadeploy_deployer.ports.store_values import Created
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore
from kadeploy_edge.errors import DomainError
from tests.fakes.deployment_world import new_deployment


async def race(url: str, name: str, *, nodes: int, rounds: int, begin: float) -> None:
    """Prints one line per round: "won ID" or the reason of the refusal."""
    database = Database(url)
    store = SqlDeploymentStore(database)
    await asyncio.sleep(max(0.0, begin - time.time()))
    for number in range(rounds):
        names = [f"round{number}-node{index}" for index in range(nodes)]
        new = new_deployment(f"{name}-{number}", names, busy_policy=BusyPolicy.FAIL)
        try:
            created = await store.create(new)
        except DomainError as error:
            sys.stdout.write(f"{number} {error.reason}\n")
        else:
            # A queue place is no win: the parent counts words.
            won = created.deployment_id if isinstance(created, Created) else ""
            sys.stdout.write(f"{number} won {won}\n" if won else f"{number} queued\n")
    database.close()


if __name__ == "__main__":
    asyncio.run(race(sys.argv[1], sys.argv[2], nodes=20, rounds=10, begin=float(sys.argv[3])))
