"""A deployer on a disk that is filled while it deploys: `python -m … DIRECTORY`. Says `ok` when all went as it must."""

import asyncio
import sys
from pathlib import Path

from kadeploy_database.access import SqliteAccess
from kadeploy_database.sqlite_file import prepare
from kadeploy_deployer.domain.errors import StoreFull
from kadeploy_deployer.domain.states import DeploymentState
from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_deployer.requests.deployments import cancel_deployment
from kadeploy_deployer.store import schema
from kadeploy_deployer.store.database import Database
from tests.fakes.deployment_world import World, new_deployment
from tests.fakes.scripted_step import ScriptedStep, straight_plan


def fill(path: Path) -> None:
    """Uses up every byte."""
    with path.open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


async def run(directory: Path) -> None:
    """Creates, fills, is refused, cancels, makes room, and creates again."""
    path = directory / "deploy_state.db"
    prepare(path, program="kadeploy-deployer")
    database = Database(SqliteAccess(path=path).url)
    schema.upgrade(database.engine)
    database.reserve_space()
    held = asyncio.Event()
    step = ScriptedStep("write", holds=held)
    world = World(database=database, plan=straight_plan(write=step), lease_seconds=3.0)
    world.supervisor.open()
    created = await world.create()
    await step.entered.wait()
    filler = directory / "filler"
    fill(filler)
    refusal = await refused(world)
    assert f"the disk of {directory} is full, so nothing was written to the database {path.name}" in refusal, refusal
    # Longer than a lease: it is renewed on the full disk.
    await asyncio.sleep(4.0)
    assert (await world.store.get(created.id)).state is DeploymentState.DEPLOYING
    await cancel_deployment(
        created.id,
        reason="",
        actor=Actor(user="alice"),
        store=world.store,
        supervisor=world.supervisor,
        clock=world.clock,
    )
    ended = await world.finished(created.id, within=20)
    assert ended.state is DeploymentState.ERROR, ended
    assert await world.store.holders(["node1", "node2"]) == {}, "its nodes are free"
    filler.unlink()
    held.set()
    again = await world.run()
    assert again.state is DeploymentState.TERMINATED, again
    await world.supervisor.close()
    database.close()


async def refused(world: World) -> str:
    """Creates deployments until there is no room, and returns what is said then."""
    for number in range(2000):
        try:
            await world.store.create(new_deployment(f"d{number}", [f"other{number}"]))
        except StoreFull as error:
            return error.message
    raise AssertionError("the disk was never full")


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))
    sys.stdout.write("ok\n")
