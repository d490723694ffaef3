"""A deployer that is killed in the middle of a reboot: `python -m tests.fakes.dying_operator URL DIRECTORY`.

It hard-reboots node-1 and node-2, and dies when it has cut the power of both and knows what became of node-1. Node-3 is
still waiting for its turn then. Each cut is noted in a file of the directory.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from typing_extensions import override

from kadeploy_deployer.domain.operation import PresentEntry
from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.domain.states import RebootLevel
from kadeploy_deployer.ports import Clock
from kadeploy_deployer.requests.operations import RequestName
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore
from tests.fakes.control_room import ControlRoom
from tests.fakes.deployment_world import WallClock
from tests.fakes.fake_power import FakePower

NAME = RequestName(owner="alice", request_id="r-1", fingerprint="reboot node-[1-3]")


class FatalPower(FakePower):
    """Notes each cut in a file, and kills this process after that of `fatal`, once node-1 has its outcome."""

    def __init__(self, directory: Path, store: SqlDeploymentStore, *, fatal: str) -> None:
        super().__init__()
        self._cuts, self._store, self._fatal = directory / "cuts", store, fatal

    @override
    async def reboot(self, node: NodeSnapshot, level: RebootLevel) -> None:
        with self._cuts.open("a", encoding="utf-8") as cuts:
            cuts.write(f"{node.name}\n")
        if node.name == self._fatal:
            while not await self._is_done("node-1"):  # noqa: ASYNC110 - the database sets no event
                await asyncio.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
        await super().reboot(node, level)

    async def _is_done(self, node: str) -> bool:
        known = await self._store.find_request(NAME.owner, NAME.request_id)
        assert known is not None
        operation = await self._store.get_operation(known.deployment_id)
        return any(one.node == node and one.succeeded for one in operation.nodes)


async def reboot(url: str, directory: Path, clock: Clock, *, fatal: str = "") -> dict[str, str]:
    """Asks for the reboot, always as the same caller and under the same name, and returns what became of the nodes."""
    database = Database(url)
    power = FatalPower(directory, SqlDeploymentStore(database), fatal=fatal)
    names = ("node-1", "node-2", "node-3")
    # Two nodes at a time, for ten minutes: the third waits for its turn.
    windows: dict[str, Any] = {"reboot_window_size": 2, "reboot_window_pause": 600.0 if fatal else 0.0}
    room = ControlRoom(directory, *names, database=database, clock=clock, power=power, **windows)
    for name in names:
        # Of a system that nobody knows nothing has to be proved.
        room.know(name, host_keys=())
    room.world.supervisor.open()
    try:
        await room.reboot(PresentEntry(), nodes="node-[1-3]", level=RebootLevel.HARD, name=NAME)
    finally:
        await room.world.supervisor.close()
        database.close()
    return room.reasons()


if __name__ == "__main__":
    asyncio.run(reboot(sys.argv[1], Path(sys.argv[2]), WallClock(), fatal="node-2"))
