"""Operations on nodes that share a supply: whose power else would be taken is named, and refused without force."""

from pathlib import Path
from typing import Any

import pytest

from kadeploy_deployer.domain.control_errors import PowerShared
from kadeploy_deployer.domain.errors import RightMissing
from kadeploy_deployer.domain.operation import PresentEntry
from kadeploy_deployer.domain.states import PowerAction, RebootLevel
from tests.fakes.control_room import ROOT, ControlRoom

GROUP = ("power_off", "very_hard_reboot")


@pytest.fixture
def room(tmp_path: Path) -> ControlRoom:
    """node-1 and node-2 share their supply with node-3, node-4 with nobody."""
    names = ("node-1", "node-2", "node-3", "node-4")
    options: dict[str, Any] = {
        name: {"power_sharers": tuple(other for other in names[:3] if other != name), "group_commands": GROUP}
        for name in names[:3]
    }
    return ControlRoom(tmp_path, *names, **options)


async def test_nothing_is_switched_when_others_would_lose_their_power(room: ControlRoom) -> None:
    with pytest.raises(PowerShared, match=r"node-3 would lose its power, too, on the supply of node-1") as refused:
        await room.switch(PowerAction.OFF)
    assert refused.value.metadata == {"node": "node-1", "others": "node-3"}
    with pytest.raises(PowerShared, match=r"node-\[2-3\] would lose their power"):
        await room.switch(PowerAction.OFF, nodes="node-1,node-4")
    with pytest.raises(PowerShared):
        await room.reboot(PresentEntry(), level=RebootLevel.VERY_HARD)
    assert room.workshop.power.did == []
    assert await room.held() == {}


async def test_all_nodes_of_a_supply_are_switched_together(room: ControlRoom) -> None:
    await room.switch(PowerAction.OFF, nodes="node-[1-4]")
    assert room.reasons() == dict.fromkeys(room.names, "")


@pytest.mark.parametrize(
    ("action", "level"),
    [(PowerAction.ON, None), (PowerAction.OFF, RebootLevel.SOFT), (PowerAction.CYCLE, RebootLevel.HARD)],
)
async def test_what_takes_no_power_of_others_is_done(
    room: ControlRoom, action: PowerAction, level: RebootLevel | None
) -> None:
    await room.switch(action, level, nodes="node-1")
    assert set(room.told) == {"node-1"}


async def test_force_takes_the_power_of_others_with_a_right_on_them(room: ControlRoom) -> None:
    await room.switch(PowerAction.OFF, actor=ROOT, force=True)
    assert room.reasons() == {"node-1": "", "node-2": ""}


async def test_force_needs_a_right_on_the_others(room: ControlRoom) -> None:
    room.inventory.rights = {"node-1": {"vda3"}, "node-2": {"vda3"}}
    with pytest.raises(RightMissing, match="node-3"):
        await room.switch(PowerAction.OFF, force=True)
    assert room.workshop.power.did == []
