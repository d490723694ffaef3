"""What every Power does: the fake one, and the one that runs commands."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kadeploy_deployer.adapters.command_template import UnknownPlaceholder, filled
from kadeploy_deployer.adapters.power_commands import CommandPower
from kadeploy_deployer.adapters.power_drivers import DrivenPower
from kadeploy_deployer.adapters.power_ipmi import IpmiController
from kadeploy_deployer.adapters.power_redfish import RedfishController
from kadeploy_deployer.domain.errors import LeaseLost
from kadeploy_deployer.domain.snapshot import CommandSnapshot, NodeSnapshot
from kadeploy_deployer.domain.states import RebootLevel
from kadeploy_deployer.domain.vocabulary import PowerDriverKind
from kadeploy_deployer.engine.fence import behind
from kadeploy_deployer.ports import Power, PowerError
from tests.fakes.closed_fence import closed_fence
from tests.fakes.controllers import FakeController, ipmi_controller, redfish_controller
from tests.fakes.fake_power import FakePower
from tests.fakes.snapshots import a_node

# A machine's supply: keeps its state in a file and writes down what it was told.
SUPPLY = """
import sys
from pathlib import Path
state, word = Path(sys.argv[1]), sys.argv[2]
log = state.with_suffix(".log")
log.write_text((log.read_text() if log.exists() else "") + word + "\\n")
if word == "status":
    print("Chassis Power is", state.read_text() if state.exists() else "on")
elif word in ("on", "off"):
    state.write_text(word)
"""

FORKING = """
import os, sys, time
from pathlib import Path
pid = os.fork()
if pid:
    Path(sys.argv[1]).write_text(f"{os.getpid()} {pid}")
time.sleep(60)
"""


@dataclass(frozen=True, kw_only=True)
class Subject:
    power: Power
    node: NodeSnapshot
    did: Callable[[], list[str]]


def supply(directory: Path) -> CommandSnapshot:
    script = directory / "supply.py"
    script.write_text(SUPPLY)

    def template(word: str) -> tuple[str, ...]:
        return (sys.executable, "-S", str(script), str(directory / "{name}"), word)

    return CommandSnapshot(
        hard_reboot=template("hard"),
        very_hard_reboot=template("very_hard"),
        power_on=template("on"),
        power_off=template("off"),
        power_status=template("status"),
    )


CONTROLLERS = {"ipmi": ipmi_controller, "redfish": redfish_controller}


def driven_power() -> DrivenPower:
    commands = CommandPower(off_seconds=0.0)
    controllers = {PowerDriverKind.IPMI: IpmiController(commands), PowerDriverKind.REDFISH: RedfishController()}
    return DrivenPower(commands, controllers, off_seconds=0.0, confirm_seconds=20.0)


@pytest.fixture(params=["fake", "commands", "ipmi", "redfish"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    if request.param in CONTROLLERS:
        with CONTROLLERS[request.param](tmp_path) as controller:
            node = a_node(commands=CommandSnapshot(), power_driver=controller.driver)
            yield Subject(power=driven_power(), node=node, did=lambda: _switched(controller))
        return
    node = a_node(commands=supply(tmp_path))
    if request.param == "fake":
        fake = FakePower()
        yield Subject(power=fake, node=node, did=lambda: [action for _, action in fake.did])
        return

    def did() -> list[str]:
        words = (tmp_path / "node-1.log").read_text().split()
        return [word for word in words if word != "status"]

    yield Subject(power=driven_power(), node=node, did=did)


def _switched(controller: FakeController) -> list[str]:
    """Returns what a controller was asked to do to the power. Off and on again are a very hard reboot to a driver."""
    return [word for word in controller.asked() if word != "network"]


async def test_a_node_is_switched_on_and_off(subject: Subject) -> None:
    assert await subject.power.is_on(subject.node) is True
    await subject.power.power_off(subject.node)
    assert await subject.power.is_on(subject.node) is False
    await subject.power.power_on(subject.node)
    assert await subject.power.is_on(subject.node) is True
    assert subject.did() == ["off", "on"]


@pytest.mark.parametrize("level", [RebootLevel.HARD, RebootLevel.VERY_HARD])
async def test_a_node_that_is_on_is_rebooted_at_the_level(subject: Subject, level: RebootLevel) -> None:
    await subject.power.reboot(subject.node, level)
    if subject.node.power_driver is not None and level is RebootLevel.VERY_HARD:
        assert subject.did() == ["off", "on"]
        assert await subject.power.is_on(subject.node) is True
    else:
        assert subject.did() == [level.value]


@pytest.mark.parametrize("level", list(RebootLevel))
async def test_a_node_that_is_off_is_switched_on(subject: Subject, level: RebootLevel) -> None:
    await subject.power.power_off(subject.node)
    await subject.power.reboot(subject.node, level)
    assert subject.did() == ["off", "on"]


async def test_a_broken_supply_is_told_with_node_and_command(subject: Subject) -> None:
    if isinstance(subject.power, FakePower):
        subject.power.broken.add("node-1")
    # A template comes before the driver.
    commands = replace(subject.node.commands, power_on=(sys.executable, "-c", "print('no answer'); exit(1)"))
    node = replace(subject.node, commands=commands)
    with pytest.raises(PowerError, match="power_on of node-1 failed with exit status 1: no answer"):
        await subject.power.power_on(node)


async def test_without_a_status_command_nobody_knows(tmp_path: Path) -> None:
    commands = replace(supply(tmp_path), power_status=())
    assert await CommandPower().is_on(a_node(commands=commands)) is None
    assert await FakePower(status_known=False).is_on(a_node(commands=commands)) is None


async def test_a_missing_command_is_told() -> None:
    with pytest.raises(PowerError, match="node-1 has no hard_reboot command"):
        await CommandPower().reboot(a_node(commands=CommandSnapshot()), RebootLevel.HARD)


async def test_a_missing_program_is_told() -> None:
    node = a_node(commands=CommandSnapshot(power_on=("/no/such/program",)))
    with pytest.raises(PowerError, match="power_on of node-1 cannot be run: /no/such/program: No such file"):
        await CommandPower().power_on(node)


async def test_the_last_rung_without_a_command_is_off_and_on(tmp_path: Path) -> None:
    node = a_node(commands=replace(supply(tmp_path), very_hard_reboot=()))
    await CommandPower(off_seconds=0.0).reboot(node, RebootLevel.VERY_HARD)
    assert (tmp_path / "node-1.log").read_text().split() == ["status", "off", "on"]


async def test_a_status_that_says_nothing_is_told() -> None:
    commands = CommandSnapshot(power_status=(sys.executable, "-c", "print('unknown')"))
    with pytest.raises(PowerError, match="says neither on nor off: unknown"):
        await CommandPower().is_on(a_node(commands=commands))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Chassis Power is on", True),
        ("Chassis Power is off", False),
        ("10.0.0.1: OFF", False),
        ("outlet on-7 is Off", False),
        ("ON", True),
    ],
)
async def test_status_lines_are_understood(line: str, expected: bool) -> None:
    commands = CommandSnapshot(power_status=(sys.executable, "-S", "-c", f"print({line!r})"))
    assert await CommandPower().is_on(a_node(commands=commands)) is expected


async def test_a_command_without_an_end_is_killed_with_its_children(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(FORKING)
    commands = CommandSnapshot(hard_reboot=(sys.executable, "-S", str(script), str(tmp_path / "pids")))
    with pytest.raises(PowerError, match="hard_reboot of node-1 did not end within 1 s and was killed"):
        await CommandPower(timeout=1.0).reboot(a_node(commands=commands), RebootLevel.HARD)
    pids = [int(word) for word in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    async with asyncio.timeout(10):
        while any([await asyncio.to_thread(_runs, pid) for pid in pids]):
            pass


def test_templates_are_filled_with_the_node_and_never_read_twice() -> None:
    node = a_node(labels={"pdu": "rack-{name}"}, bmc_address="")
    template = ("{name}", "{ip}", "{mac}", "{bmc}", "{cluster}", "-p{label:pdu}", "$HOME", "a b")
    assert filled(template, node) == (
        "node-1",
        "10.0.0.1",
        "52:54:00:00:00:01",
        "node-1-bmc",
        "default",
        "-prack-{name}",
        "$HOME",
        "a b",
    )


@pytest.mark.parametrize("word", ["{nmae}", "{label:absent}", "{label}", "{}"])
def test_an_unknown_placeholder_is_told(word: str) -> None:
    with pytest.raises(UnknownPlaceholder, match="node-1"):
        filled((word,), a_node())


async def test_an_unknown_placeholder_runs_nothing() -> None:
    node = a_node(commands=CommandSnapshot(power_on=("true", "{nmae}")))
    with pytest.raises(PowerError, match=r"power_on of node-1 cannot be run: .*unknown placeholder \{nmae\}"):
        await CommandPower().power_on(node)


def _runs(pid: int) -> bool:
    """A killed child of nobody stays a zombie until init collects it."""
    status = Path(f"/proc/{pid}/status")
    try:
        os.kill(pid, 0)
        return "State:\tZ" not in status.read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


async def test_who_has_lost_his_lease_changes_no_power_and_may_ask_for_it(subject: Subject) -> None:
    with behind(closed_fence()):
        with pytest.raises(LeaseLost):
            await subject.power.power_on(subject.node)
        with pytest.raises(LeaseLost):
            await subject.power.power_off(subject.node)
        for level in (RebootLevel.HARD, RebootLevel.VERY_HARD):
            with pytest.raises(LeaseLost):
                await subject.power.reboot(subject.node, level)
        assert await subject.power.is_on(subject.node) is True
    assert subject.did() == []
