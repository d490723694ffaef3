"""Power supplies that do what they are told at once, or break."""

from collections.abc import Callable

from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.domain.states import RebootLevel
from kadeploy_deployer.engine.fence import pass_fence
from kadeploy_deployer.ports import PowerError

Listener = Callable[[NodeSnapshot, str], None]


class FakePower:
    """Remembers who is on. `did`: (node, "on" | "off" | "soft" | "hard" | "very_hard"), in order.

    Nodes in `broken` raise PowerError. With `status_known` false the site has no status command. `on_change` is called
    with every action.
    """

    def __init__(self, *, status_known: bool = True, on_change: Listener | None = None) -> None:
        self.on: dict[str, bool] = {}
        self.did: list[tuple[str, str]] = []
        self.broken: set[str] = set()
        self.status_known = status_known
        self.on_change = on_change

    async def is_on(self, node: NodeSnapshot) -> bool | None:
        """As in the port. A node that nobody switched is on."""
        self._check(node, "power_status")
        return self.on.get(node.name, True) if self.status_known else None

    async def reboot(self, node: NodeSnapshot, level: RebootLevel) -> None:
        """As in the port."""
        await pass_fence()
        self._check(node, f"{level.value}_reboot")
        if not self.on.get(node.name, True):
            await self.power_on(node)
            return
        self.on[node.name] = True
        self._tell(node, level.value)

    async def power_on(self, node: NodeSnapshot) -> None:
        """As in the port."""
        await pass_fence()
        self._check(node, "power_on")
        self.on[node.name] = True
        self._tell(node, "on")

    async def power_off(self, node: NodeSnapshot) -> None:
        """As in the port."""
        await pass_fence()
        self._check(node, "power_off")
        self.on[node.name] = False
        self._tell(node, "off")

    def _check(self, node: NodeSnapshot, word: str) -> None:
        if node.name in self.broken:
            raise PowerError(f"{word} of {node.name} failed with exit status 1: no answer from the controller")

    def _tell(self, node: NodeSnapshot, action: str) -> None:
        self.did.append((node.name, action))
        if self.on_change is not None:
            self.on_change(node, action)
