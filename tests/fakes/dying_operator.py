"""A deployer that is killed in the middle of a reboot: `python -m tests.fakes.dying_operator URL DIRECTORY`.

It hard-reboots node-1 and node-2, and dies when it has cut the power of both and knows what became of node-1. Node-3 is
still waiting for its turn then. Each cut is noted in a file of the directory.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.domain.states import RebootLevel
from kadeploy_deployer.engine.operation_request import OperationRequest, Tell
from kadeploy_deployer.ports import Clock
from kadeploy_deployer.ports.operation_store import OperationStore, RequestName
from kadeploy_deployer.requests.reboot import RebootRequest, reboot_nodes
from kadeploy_deployer.requests.reboot_targets import PresentEntry
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.operations import SqlOperationStore
from tests.fakes.control_room import ALICE, ControlRoom
from tests.fakes.deployment_world import WallClock
from tests.fakes.fake_power import FakePower

NAME = RequestName(owner="alice", request_id="r-1", fingerprint="reboot node-[1-3]")


class FatalPower(FakePower):
    """Notes each cut in a file, and kills this process after that of `fatal`, once node-1 has its outcome."""

    def __init__(self, directory: Path, store: OperationStore, *, fatal: str) -> None:
        super().__init__()
        self._cuts, self._store, self._fatal = directory / "cuts", store, fatal

    async def reboot(self, node: NodeSnapshot, level: RebootLevel) -> None:
        """As in the port."""
        with self._cuts.open("a", encoding="utf-8") as cuts:
            cuts.write(f"{node.name}\n")
        if node.name == self._fatal:
            while "node-1" not in await self._outcomes():  # noqa: ASYNC110 - the database sets no event
                await asyncio.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
        await super().reboot(node, level)

    async def _outcomes(self) -> Mapping[str, object]:
        known = await self._store.known_request(NAME.owner, NAME.request_id)
        return known.outcomes if known else {}


async def reboot(url: str, directory: Path, clock: Clock, *, fatal: str = "") -> dict[str, str]:
    """Asks for the reboot, always as the same caller and under the same name, and returns what became of the nodes."""
    database = Database(url)
    store = SqlOperationStore(database)
    # Two nodes at a time: as long as the clock of the machines stands still, the third waits for its turn.
    room = ControlRoom(directory, "node-1", "node-2", "node-3", reboot_window_size=2, reboot_window_pause=600.0)
    room.workshop.clock._automatic = False
    parts = room.on(store, clock=clock)
    parts = replace(parts, ports=replace(parts.ports, power=FatalPower(directory, store, fatal=fatal)))
    for name in ("node-1", "node-2", "node-3"):
        # Of a system that nobody knows nothing has to be proved.
        room.know(name, host_keys=())
    request = OperationRequest(owner="alice", name=NAME)
    wanted = RebootRequest(nodes="node-[1-3]", target=PresentEntry(), level=RebootLevel.HARD)

    async def work(tell: Tell) -> None:
        await reboot_nodes(wanted, actor=ALICE, parts=parts, request=request, tell=tell)

    try:
        await parts.operations.once(request, work, room.tell)
    finally:
        await parts.operations.close()
        database.close()
    return room.reasons()


if __name__ == "__main__":
    asyncio.run(reboot(sys.argv[1], Path(sys.argv[2]), WallClock(), fatal="node-2"))
