"""Operations that are asked for again: by a caller who lost the answer, of the same deployer or of another."""

import asyncio
from pathlib import Path

import pytest

from kadeploy_deployer.domain.control_errors import (
    InvalidControl,
    OperationEnds,
    OperationFinished,
    OperationGoesOn,
    OperationNotFound,
    OperationNotOwned,
)
from kadeploy_deployer.domain.errors import DeploymentNotFound, RightMissing
from kadeploy_deployer.domain.states import DeploymentState, OperationKind, PowerAction, RebootLevel
from kadeploy_deployer.ports.store_values import DeploymentFilter, OperationFilter
from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_deployer.requests.node_access import ControlParts
from kadeploy_deployer.requests.operations import RequestName, cancel_operation, stop_operation
from kadeploy_edge.errors import DomainError
from tests.fakes.control_room import ALICE, ROOT, ControlRoom
from tests.fakes.deployment_world import WallClock
from tests.fakes.gated_power import GatedPower


class Caller:
    """Somebody who asks for a power cycle under a name. `told`: what they heard, node by node."""

    def __init__(
        self,
        room: ControlRoom,
        parts: ControlParts | None = None,
        *,
        request_id: str = "r-1",
        fingerprint: str = "f",
    ) -> None:
        self.room, self.parts = room, parts or room.parts
        self.name = RequestName(owner="alice", request_id=request_id, fingerprint=fingerprint) if request_id else None
        self.told: dict[str, DomainError | None] = {}

    async def ask(self, *, actor: Actor = ALICE, action: PowerAction = PowerAction.CYCLE) -> dict[str, str]:
        async with asyncio.timeout(10):
            await self.room.switch(
                action,
                RebootLevel.HARD,
                nodes="node-[1-2,99]",
                actor=actor,
                parts=self.parts,
                name=self.name,
                tell=self._hear,
            )
        return {node: error.reason if error else "" for node, error in sorted(self.told.items())}

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
    # The manual clock would jump to the bound of the step that stands at the gate.
    return ControlRoom(tmp_path, power=power, clock=WallClock())


async def stopped(task: "asyncio.Task[dict[str, str]]") -> None:
    """Lets a caller hang up."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def nobody_holds(room: ControlRoom) -> None:
    """Waits until no node is held."""
    async with asyncio.timeout(10):
        while await room.held():  # noqa: ASYNC110 - the database sets no event
            await asyncio.sleep(0.01)


async def test_the_same_request_again_is_answered_the_same_and_does_nothing(
    room: ControlRoom, power: GatedPower
) -> None:
    power.gate.set()
    first, second = Caller(room), Caller(room)
    assert await first.ask() == await second.ask() == WELL
    assert str(first.told["node-99"]) == str(second.told["node-99"])
    assert sorted(power.did) == ONCE_EACH


async def test_another_id_is_another_operation(room: ControlRoom, power: GatedPower) -> None:
    power.gate.set()
    await Caller(room).ask()
    assert await Caller(room, request_id="r-2").ask() == WELL
    assert len(power.did) == 4


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_caller_who_hung_up_and_asks_again_follows_what_is_under_way(
    room: ControlRoom, power: GatedPower, elsewhere: bool
) -> None:
    first = asyncio.create_task(Caller(room).ask())
    await power.reached.wait()
    await stopped(first)
    again = asyncio.create_task(Caller(room, room.deployer()[1] if elsewhere else None).ask())
    await asyncio.sleep(0)
    power.gate.set()
    assert await again == WELL
    assert sorted(power.did) == ONCE_EACH
    assert await room.held() == {}


async def test_what_has_no_name_ends_with_its_call(room: ControlRoom, power: GatedPower) -> None:
    asking = asyncio.create_task(Caller(room, request_id="").ask())
    await power.reached.wait()
    await stopped(asking)
    await nobody_holds(room)
    assert power.did == ONCE_EACH[:1]
    (found,) = await room.store.list_operations(OperationFilter(), after=None, limit=9)
    ended = await room.ended(found.id)
    assert ended.state is DeploymentState.ERROR
    assert ended.description.startswith("its caller hung up; 1 of 3 nodes switched")


async def test_what_has_no_name_is_not_gone_on_with_when_its_deployer_dies(
    room: ControlRoom, power: GatedPower
) -> None:
    asking = asyncio.create_task(Caller(room, request_id="").ask())
    await power.reached.wait()
    await room.world.die()
    heir, _ = room.deployer()
    await room.take_over(heir)
    await nobody_holds(room)
    power.gate.set()
    assert power.did == ONCE_EACH[:1]
    await stopped(asking)


async def test_two_who_ask_at_the_same_moment_get_one_operation(room: ControlRoom, power: GatedPower) -> None:
    power.gate.set()
    here, there = await asyncio.gather(Caller(room).ask(), Caller(room, room.deployer()[1]).ask())
    assert (here, there) == (WELL, WELL)
    assert sorted(power.did) == ONCE_EACH


async def test_an_id_serves_one_request(room: ControlRoom, power: GatedPower) -> None:
    power.gate.set()
    await Caller(room).ask()
    with pytest.raises(InvalidControl, match="was given to another request"):
        await Caller(room, fingerprint="g").ask()


async def test_a_refused_request_leaves_nothing_behind(room: ControlRoom, power: GatedPower) -> None:
    power.gate.set()
    rights, room.inventory.rights = room.inventory.rights, {}
    with pytest.raises(RightMissing):
        await Caller(room).ask()
    room.inventory.rights = rights
    assert await Caller(room).ask() == WELL


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_stopped_operation_says_of_each_node_how_far_it_was(
    room: ControlRoom, power: GatedPower, elsewhere: bool
) -> None:
    room.world.supervisor.open()
    caller = Caller(room)
    asking = asyncio.create_task(caller.ask())
    await power.reached.wait()
    other = room.deployer()[1] if elsewhere else room.parts
    await stop_operation("r-1", actor=ALICE, parts=other)
    assert await asking == {**WELL, "node-2": "OPERATION_STOPPED"}
    assert "was begun" in str(caller.told["node-2"])
    assert await Caller(room).ask() == {**WELL, "node-2": "OPERATION_STOPPED"}
    assert power.did == ONCE_EACH[:1]
    await nobody_holds(room)
    await stop_operation("r-1", actor=ALICE, parts=other)
    with pytest.raises(OperationNotFound):
        await stop_operation("r-1", actor=Actor(user="bob"), parts=other)
    await room.world.supervisor.close()


async def test_a_deployer_that_stops_in_order_leaves_the_rest_to_the_next(room: ControlRoom, power: GatedPower) -> None:
    first = Caller(room)
    asking = asyncio.create_task(first.ask())
    await power.reached.wait()
    room.world.log.close()
    await room.world.supervisor.close()
    with pytest.raises(OperationGoesOn):
        await asking
    with pytest.raises(OperationGoesOn):
        await Caller(room, request_id="r-2").ask()
    with pytest.raises(OperationEnds):
        await Caller(room, request_id="").ask()
    power.gate.set()
    heir, parts = room.deployer()
    heir.supervisor.open()
    assert await Caller(room, parts).ask() == {**WELL, "node-2": "OUTCOME_UNKNOWN"}
    assert power.did == ONCE_EACH[:1]
    await heir.supervisor.close()


@pytest.mark.parametrize("known", [True, False])
async def test_a_power_change_whose_effect_can_be_seen_is_not_done_twice(
    room: ControlRoom, power: GatedPower, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    power.status_known = known
    begun = asyncio.Event()

    async def off(_node: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(power, "power_off", off)
    asking = asyncio.create_task(Caller(room).ask(action=PowerAction.OFF))
    await begun.wait()
    await room.world.die()
    await stopped(asking)
    power.on = {"node-1": False, "node-2": True}
    monkeypatch.undo()
    heir, parts = room.deployer()
    await room.take_over(heir)
    found = await Caller(room, parts).ask(action=PowerAction.OFF)
    if known:
        assert found == WELL
        # The other one had not been switched off yet, so it is.
        assert power.did == [("node-2", "off")]
    else:
        assert found == {**WELL, "node-1": "OUTCOME_UNKNOWN", "node-2": "OUTCOME_UNKNOWN"}
        assert power.did == []


async def test_operations_are_listed_shown_and_cancelled_and_are_no_deployments(
    room: ControlRoom, power: GatedPower
) -> None:
    asking = asyncio.create_task(Caller(room).ask())
    await power.reached.wait()
    (listed,) = await room.store.list_operations(OperationFilter(), after=None, limit=9)
    assert (listed.spec.kind, listed.owner, listed.state) == (OperationKind.POWER, "alice", DeploymentState.DEPLOYING)
    assert await room.store.list_deployments(DeploymentFilter(), after=None, limit=9) == []
    with pytest.raises(DeploymentNotFound):
        await room.store.get(listed.id)
    async with asyncio.timeout(10):
        while True:
            shown = await room.store.get_operation(listed.id)
            if [(node.node, node.step) for node in shown.nodes if node.active] == [("node-2", "power")]:
                break
            await asyncio.sleep(0.01)
    with pytest.raises(OperationNotOwned):
        await cancel_operation(listed.id, reason="", actor=Actor(user="bob"), parts=room.parts)
    await cancel_operation(listed.id, reason="maintenance", actor=ROOT, parts=room.parts)
    assert await asking == {**WELL, "node-2": "OPERATION_STOPPED"}
    ended = await room.ended(listed.id)
    assert ended.description.startswith("cancelled by root: maintenance; 1 of 3 nodes switched")
    with pytest.raises(OperationFinished):
        await cancel_operation(listed.id, reason="", actor=ROOT, parts=room.parts)
    wanted = OperationFilter(kinds=(OperationKind.REBOOT,))
    assert await room.store.list_operations(wanted, after=None, limit=9) == []
