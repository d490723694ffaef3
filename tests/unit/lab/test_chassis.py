"""A machine's BMC: power commands become presses of its buttons."""

import pytest

from kadeploy_lab.chassis import DONE, FAILED, INVALID_FIELD, NOT_IN_THIS_STATE, Chassis
from kadeploy_lab.errors import LabError

OFF, ON, CYCLE, RESET, DIAGNOSTIC_INTERRUPT, SOFT = range(6)


class RecordingMachine:
    """A machine that only notes which button was pressed."""

    def __init__(self, *, is_on: bool = False) -> None:
        self.is_on = is_on
        self.pressed: list[str] = []

    def on(self, *, first: str = "") -> None:
        self.is_on = True
        self.pressed.append(f"on, {first} first" if first else "on")

    def off(self) -> None:
        self.is_on = False
        self.pressed.append("off")

    def reset(self, *, first: str = "") -> None:
        self.pressed.append(f"reset, {first} first" if first else "reset")

    def ask_to_shut_down(self) -> None:
        self.pressed.append("soft")


class BrokenMachine(RecordingMachine):
    """A machine whose QEMU does not start."""

    def on(self, *, first: str = "") -> None:
        raise LabError("QEMU ended at once with status 1.")


class ManualClock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("is_on", "directive", "pressed", "code"),
    [
        (False, ON, ["on"], DONE),
        (True, ON, [], DONE),
        (True, OFF, ["off"], DONE),
        (True, CYCLE, ["off", "on"], DONE),
        (False, CYCLE, ["off", "on"], DONE),
        (True, RESET, ["reset"], DONE),
        (False, RESET, [], NOT_IN_THIS_STATE),
        (True, SOFT, ["soft"], DONE),
        (False, SOFT, [], DONE),
        (True, DIAGNOSTIC_INTERRUPT, [], INVALID_FIELD),
    ],
)
def test_each_command_presses_its_buttons(is_on: bool, directive: int, pressed: list[str], code: int) -> None:
    machine = RecordingMachine(is_on=is_on)

    answer = Chassis(machine, say=lambda _: None).control(directive, "session")

    assert (machine.pressed, answer) == (pressed, code)


def test_a_boot_device_counts_for_one_start() -> None:
    machine = RecordingMachine()
    chassis = Chassis(machine, say=lambda _: None)
    chassis.next_boot = "hd"

    chassis.control(CYCLE, "first")
    chassis.control(CYCLE, "second")

    assert machine.pressed == ["off", "on, disk first", "off", "on"]


@pytest.mark.parametrize(("device", "first"), [("network", "network"), ("hd", "disk")])
def test_a_reset_uses_a_boot_device_up_too(device: str, first: str) -> None:
    machine = RecordingMachine(is_on=True)
    chassis = Chassis(machine, say=lambda _: None)
    chassis.next_boot = device

    chassis.control(RESET, "first")
    chassis.control(RESET, "second")

    assert machine.pressed == [f"reset, {first} first", "reset"]


def test_a_cycle_that_the_network_repeats_is_done_once() -> None:
    machine, clock = RecordingMachine(), ManualClock()
    chassis = Chassis(machine, say=lambda _: None, clock=clock)

    answers = [chassis.control(CYCLE, "session")]
    clock.now += 1.0
    answers.append(chassis.control(CYCLE, "session"))

    assert answers == [DONE, DONE]
    assert machine.pressed == ["off", "on"]


@pytest.mark.parametrize(("session", "seconds"), [("another", 1.0), ("session", 60.0)])
def test_a_second_command_is_carried_out_again(session: str, seconds: float) -> None:
    machine, clock = RecordingMachine(is_on=True), ManualClock()
    chassis = Chassis(machine, say=lambda _: None, clock=clock)

    chassis.control(RESET, "session")
    clock.now += seconds
    chassis.control(RESET, session)

    assert machine.pressed == ["reset", "reset"]


def test_a_machine_that_does_not_start_is_reported_and_logged() -> None:
    log: list[str] = []

    answer = Chassis(BrokenMachine(), say=log.append).control(ON, "session")

    assert answer == FAILED
    assert log == ["power on failed: QEMU ended at once with status 1."]
