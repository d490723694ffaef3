"""The right of an operation's user, as its steps and its walk ask for it."""

from collections.abc import Awaitable

from kadeploy_deployer.domain.errors import RightMissing
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.engine.racing import first_of
from kadeploy_deployer.engine.rights import RightsGuard
from kadeploy_edge.errors import Unreachable


class OperationRights:
    """Implements `steps.operation_step.UserRights` and `engine.node_walk.StepGuard`."""

    def __init__(self, guard: RightsGuard) -> None:
        self._guard = guard

    async def lost(self, node: str) -> Failure | None:
        """Returns why a node must not enter a step, in the words of its own answer."""
        try:
            await self._guard.must_have(node)
        except RightMissing as error:
            return Failure(reason=FailureReason.NO_RIGHT, description=error.message, retriable=False)
        except Unreachable as error:
            return Failure(reason=FailureReason.INVENTORY_UNREACHABLE, description=error.message, retriable=False)
        return None

    async def must_have(self, node: str) -> None:
        """Returns if the user has the right on a node. Raises RightMissing, Unreachable."""
        await self._guard.must_have(node)

    async def hold_during(self, node: str, work: Awaitable[None]) -> None:
        """Does the work, and ends it when the right on the node ends. Raises as `must_have`, and what the work does."""
        await first_of(work, self._guard.watch(node))
