"""What is evidence that an upstream is slow, and what is none."""

import pytest

from kabroadcast.pace import LONG_SPAN, SPAN, Pace

PERIOD = 0.2
MEBIBYTE = 1 << 20


def watched(seconds: float, *, theirs: float, ours: float, behind: int = 0) -> Pace:
    """Returns what a node saw that went at `ours` MiB/s while another went at `theirs`."""
    pace = Pace()
    for number in range(int(seconds / PERIOD) + 1):
        now = number * PERIOD
        pace.add(100 + now, "n1", behind + int(theirs * now * MEBIBYTE), int(ours * now * MEBIBYTE))
    return pace


@pytest.mark.parametrize(
    ("theirs", "ours", "slow"),
    [(10, 2.5, True), (10, 7, True), (10, 9, False), (10, 10, False), (2, 10, False), (0, 0, False)],
)
def test_who_goes_at_less_than_four_fifths_is_slow(theirs: float, ours: float, slow: bool) -> None:
    assert watched(2, theirs=theirs, ours=ours).is_slow(SPAN) is slow


def test_nothing_is_known_before_the_evidence_covers_its_time() -> None:
    assert not watched(SPAN - PERIOD, theirs=10, ours=1).is_slow(SPAN)
    assert watched(1.2, theirs=10, ours=1).is_slow(SPAN)
    assert not watched(1.2, theirs=10, ours=1).is_slow(LONG_SPAN)


def test_who_is_behind_and_keeps_the_pace_is_not_slow() -> None:
    assert not watched(2, theirs=10, ours=10, behind=50 * MEBIBYTE).is_slow(SPAN)


def test_one_who_has_everything_is_compared_by_how_fast_he_came_there() -> None:
    pace = watched(1, theirs=10, ours=2)
    for number in range(1, 8):
        pace.add(101 + number * PERIOD, "n1", 10 * MEBIBYTE, int((2 + number * PERIOD * 2) * MEBIBYTE))
    assert pace.is_slow(SPAN)


def test_of_another_nothing_is_known_yet() -> None:
    pace = watched(2, theirs=10, ours=1)
    pace.add(102.2, "n0", 90 * MEBIBYTE, 2 * MEBIBYTE)
    assert not pace.is_slow(SPAN)
    pace.clear()
    assert pace.jitter() == 0
