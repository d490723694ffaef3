"""Commands that act on a whole supply: run once for all who want it, and not at all where others would be hit."""

import asyncio
import sys
from pathlib import Path

import pytest

from kadeploy_deployer.adapters.power_commands import CommandPower
from kadeploy_deployer.domain.snapshot import CommandSnapshot, NodeSnapshot
from kadeploy_deployer.domain.states import RebootLevel
from kadeploy_deployer.ports import PowerError
from tests.fakes.snapshots import a_node

SCRIPT = """\
import pathlib, sys, time
with pathlib.Path(sys.argv[1]).open("a") as log:
    log.write(f"{sys.argv[2]} {sys.argv[3]}\\n")
time.sleep(0.5)
sys.exit(int(sys.argv[3] == "bad"))
"""


def nodes(directory: Path, *sharers: str, supply: str = "p1") -> list[NodeSnapshot]:
    script = directory / "supply.py"
    script.write_text(SCRIPT)

    def template(word: str) -> tuple[str, ...]:
        return (sys.executable, "-S", str(script), str(directory / "log"), word, "{label:pdu}")

    return [
        a_node(
            name,
            labels={"pdu": supply},
            power_sharers=sharers,
            group_commands=("power_off", "power_on"),
            commands=CommandSnapshot(power_off=template("off"), power_on=template("on"), hard_reboot=template("hard")),
        )
        for name in ("node-1", "node-2", "node-3")
    ]


async def test_a_supply_is_switched_once_for_all_its_nodes(tmp_path: Path) -> None:
    power = CommandPower()
    await asyncio.gather(*(power.power_off(node) for node in nodes(tmp_path)))
    assert (tmp_path / "log").read_text() == "off p1\n"
    # A later one is another one.
    await power.power_off(nodes(tmp_path)[0])
    assert (tmp_path / "log").read_text() == "off p1\n" * 2


async def test_what_goes_wrong_goes_wrong_for_all_of_them(tmp_path: Path) -> None:
    power = CommandPower()
    bad = nodes(tmp_path, supply="bad")
    ended = await asyncio.gather(*(power.power_off(node) for node in bad), return_exceptions=True)
    assert [type(each) for each in ended] == [PowerError] * 3
    assert (tmp_path / "log").read_text() == "off bad\n"


async def test_a_caller_who_is_stopped_leaves_nobody_waiting(tmp_path: Path) -> None:
    power = CommandPower()
    one, two, _ = nodes(tmp_path)
    first = asyncio.create_task(power.power_off(one))
    await asyncio.sleep(0.1)
    second = asyncio.create_task(power.power_off(two))
    await asyncio.sleep(0.1)
    first.cancel()
    with pytest.raises(PowerError, match="was stopped in the middle"):
        async with asyncio.timeout(5):
            await second


async def test_a_node_whose_supply_feeds_others_is_not_cut(tmp_path: Path) -> None:
    power = CommandPower(off_seconds=0.0)
    node = nodes(tmp_path, "node-8", "node-9")[0]
    for level in (RebootLevel.VERY_HARD,):
        with pytest.raises(PowerError, match=r"it would take the power of node-\[8-9\], too"):
            await power.reboot(node, level)
    assert not (tmp_path / "log").exists()
    # What acts on the node alone, or gives power, is run.
    await power.power_on(node)
    assert (tmp_path / "log").read_text() == "on p1\n"
