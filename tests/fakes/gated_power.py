"""Power that stands at a gate."""

import asyncio

from typing_extensions import override

from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.domain.states import RebootLevel
from tests.fakes.fake_power import FakePower


class GatedPower(FakePower):
    """Switches node-1 at once; the others as soon as the gate opens. `reached`: somebody stands before it."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.reached = asyncio.Event(), asyncio.Event()

    @override
    async def reboot(self, node: NodeSnapshot, level: RebootLevel) -> None:
        if node.name != "node-1":
            self.reached.set()
            await self.gate.wait()
        await super().reboot(node, level)
