"""Operations that are asked for again: by a caller who lost the answer, of the same deployer or of another."""

import asyncio
from pathlib import Path

import pytest

from kadeploy_deployer.domain.control_errors import InvalidControl, OperationGoesOn, OperationNotFound
from kadeploy_deployer.domain.errors import RightMissing
from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.domain.states import RebootLevel
from kadeploy_deployer.engine.operation_request import OperationRequest, Tell
from kadeploy_deployer.ports.operation_store import RequestName
from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_deployer.requests.node_access import ControlParts
from kadeploy_deployer.requests.power import PowerAction, set_power
from kadeploy_edge.errors import DomainError
from tests.fakes.control_room import ALICE, ControlRoom
from tests.fakes.fake_power import FakePower


class GatedPower(FakePower):
    """Switches node-1 at once; node-2 as soon as the gate opens. `reached`: somebody stands before it."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.reached = asyncio.Event(), asyncio.Event()

    async def reboot(self, node: NodeSnapshot, level: RebootLevel) -> None:
        """As in the port."""
        if node.name == "node-2":
            self.reached.set()
            await self.gate.wait()
        await super().reboot(node, level)


class Caller:
    """Somebody who asks for a power cycle under a name. `told`: what he heard, node by node."""

    def __init__(self, parts: ControlParts, *, request_id: str = "r-1", fingerprint: str = "f") -> None:
        self.parts = parts
        self.request = OperationRequest(
            owner="alice", name=RequestName(owner="alice", request_id=request_id, fingerprint=fingerprint)
        )
        self.told: dict[str, DomainError | None] = {}

    async def ask(self, *, actor: Actor = ALICE) -> dict[str, str]:
        async with asyncio.timeout(10):
            await self.parts.operations.once(self.request, lambda tell: self._cycle(tell, actor), self._hear)
        return {node: error.reason if error else "" for node, error in sorted(self.told.items())}

    async def _cycle(self, tell: Tell, actor: Actor) -> None:
        await set_power(
            "node-[1-2,99]",
            PowerAction.CYCLE,
            RebootLevel.HARD,
            actor=actor,
            parts=self.parts,
            request=self.request,
            tell=tell,
        )

    def _hear(self, node: str, error: DomainError | None) -> None:
        assert node not in self.told
        self.told[node] = error


WELL = {"node-1": "", "node-2": "", "node-99": "NODE_NOT_FOUND"}
ONCE_EACH = [("node-1", "hard"), ("node-2", "hard")]


@pytest.fixture
def power() -> GatedPower:
    return GatedPower()


@pytest.fixture
def room(tmp_path: Path, power: GatedPower) -> ControlRoom:
    room = ControlRoom(tmp_path)
    power.on_change, room.workshop.power = room.workshop.power.on_change, power
    # The parts are frozen, and were made with the power that was there before.
    object.__setattr__(room.parts.ports, "power", power)
    return room


async def test_the_same_request_again_is_answered_the_same_and_does_nothing(
    room: ControlRoom, power: GatedPower
) -> None:
    power.gate.set()
    first, second = Caller(room.parts), Caller(room.parts)
    assert await first.ask() == await second.ask() == WELL
    assert str(first.told["node-99"]) == str(second.told["node-99"])
    assert sorted(power.did) == ONCE_EACH


async def test_another_id_is_another_operation(room: ControlRoom, power: GatedPower) -> None:
    power.gate.set()
    await Caller(room.parts).ask()
    assert await Caller(room.parts, request_id="r-2").ask() == WELL
    assert len(power.did) == 4


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_caller_who_hung_up_and_asks_again_follows_what_is_under_way(
    room: ControlRoom, power: GatedPower, elsewhere: bool
) -> None:
    first = asyncio.create_task(Caller(room.parts).ask())
    await power.reached.wait()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    again = asyncio.create_task(Caller(room.on(room.store) if elsewhere else room.parts).ask())
    await asyncio.sleep(0)
    power.gate.set()
    assert await again == WELL
    assert sorted(power.did) == ONCE_EACH
    assert room.store.held == {}


async def test_two_who_ask_at_the_same_moment_get_one_operation(room: ControlRoom, power: GatedPower) -> None:
    power.gate.set()
    here, there = await asyncio.gather(Caller(room.parts).ask(), Caller(room.on(room.store)).ask())
    assert (here, there) == (WELL, WELL)
    assert sorted(power.did) == ONCE_EACH


async def test_an_id_serves_one_request(room: ControlRoom, power: GatedPower) -> None:
    power.gate.set()
    await Caller(room.parts).ask()
    with pytest.raises(InvalidControl, match="was given to another request"):
        await Caller(room.parts, fingerprint="g").ask()


async def test_a_refused_request_leaves_nothing_behind(room: ControlRoom, power: GatedPower) -> None:
    power.gate.set()
    rights, room.inventory.rights = room.inventory.rights, {}
    with pytest.raises(RightMissing):
        await Caller(room.parts).ask()
    room.inventory.rights = rights
    assert await Caller(room.parts).ask() == WELL


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_stopped_operation_says_of_each_node_how_far_it_was(
    room: ControlRoom, power: GatedPower, elsewhere: bool
) -> None:
    caller = Caller(room.parts)
    asking = asyncio.create_task(caller.ask())
    await power.reached.wait()
    other = room.on(room.store).operations if elsewhere else room.parts.operations
    await other.stop("alice", "r-1")
    assert await asking == {**WELL, "node-2": "OPERATION_STOPPED"}
    assert "was begun" in str(caller.told["node-2"])
    assert await Caller(room.parts).ask() == {**WELL, "node-2": "OPERATION_STOPPED"}
    assert power.did == ONCE_EACH[:1]
    assert room.store.held == {}
    await other.stop("alice", "r-1")
    with pytest.raises(OperationNotFound):
        await other.stop("bob", "r-1")


async def test_a_deployer_that_stops_in_order_leaves_the_rest_to_the_next(room: ControlRoom, power: GatedPower) -> None:
    first = Caller(room.parts)
    asking = asyncio.create_task(first.ask())
    await power.reached.wait()
    await room.parts.operations.close()
    with pytest.raises(OperationGoesOn):
        await asking
    with pytest.raises(OperationGoesOn):
        await Caller(room.parts).ask()
    power.gate.set()
    assert await Caller(room.on(room.store)).ask() == {**WELL, "node-2": "OUTCOME_UNKNOWN"}
    assert power.did == ONCE_EACH[:1]
