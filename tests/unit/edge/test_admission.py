"""How many calls are let in: of each caller, in all, and a second."""

import pytest

from kadeploy_edge.admission import BURST_SECONDS, Admission, CallKind, TooManyCalls
from kadeploy_edge.caller import NOBODY, Caller
from kadeploy_edge.limits import Limits

ALICE, BOB, ROOT, DEPLOYER = (Caller(name=name) for name in ("user:alice", "user:bob", "user:root", "deployer"))
LIMITS = Limits(calls=10, calls_per_user=2, streams=4, streams_per_user=3, calls_per_second=10)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def admission(clock: Clock) -> Admission:
    return Admission(LIMITS, is_trusted=lambda caller: caller.is_service or caller == ROOT, clock=clock)


def let_in(admission: Admission, kind: CallKind, caller: Caller, count: int) -> int:
    """Returns how many of so many calls are let in."""
    for number in range(count):
        try:
            admission.enter(kind, caller)
        except TooManyCalls:
            return number
    return count


def test_a_user_has_so_many_calls_at_once_and_the_others_theirs(admission: Admission) -> None:
    assert let_in(admission, CallKind.CALL, ALICE, 5) == 2
    assert let_in(admission, CallKind.CALL, BOB, 5) == 2
    admission.leave(CallKind.CALL, ALICE)
    assert let_in(admission, CallKind.CALL, ALICE, 5) == 1


def test_streams_take_nothing_from_calls_nor_calls_from_probes(admission: Admission) -> None:
    assert let_in(admission, CallKind.STREAM, ALICE, 5) == 3
    assert let_in(admission, CallKind.CALL, ALICE, 5) == 2
    assert let_in(admission, CallKind.PROBE, ALICE, 3) == 3


@pytest.mark.parametrize("caller", [ROOT, DEPLOYER])
def test_administrators_and_services_may_have_half(admission: Admission, caller: Caller) -> None:
    assert let_in(admission, CallKind.CALL, caller, 20) == 5
    assert let_in(admission, CallKind.CALL, ALICE, 5) == 2


def test_all_together_have_so_many(admission: Admission) -> None:
    users = [Caller(name=f"user:{number}") for number in range(10)]
    assert [let_in(admission, CallKind.CALL, user, 2) for user in users] == [2] * 5 + [0] * 5
    with pytest.raises(TooManyCalls, match="the service takes 10 calls at once") as caught:
        admission.enter(CallKind.CALL, ALICE)
    assert caught.value.metadata == {"limit": "10"}


def test_a_refused_call_is_not_counted(admission: Admission) -> None:
    let_in(admission, CallKind.CALL, ALICE, 5)
    assert admission.running(CallKind.CALL) == 2
    for _ in range(2):
        admission.leave(CallKind.CALL, ALICE)
    assert admission.running(CallKind.CALL) == 0


def test_who_is_not_named_is_one_caller(admission: Admission) -> None:
    assert let_in(admission, CallKind.CALL, NOBODY, 5) == 2


def test_a_user_calls_in_bursts_but_not_on_and_on(admission: Admission, clock: Clock) -> None:
    def one_after_the_other(caller: Caller, count: int) -> int:
        for number in range(count):
            try:
                admission.enter(CallKind.CALL, caller)
            except TooManyCalls:
                return number
            admission.leave(CallKind.CALL, caller)
        return count

    burst = int(LIMITS.calls_per_second * BURST_SECONDS)
    assert one_after_the_other(ALICE, 200) == pytest.approx(burst, abs=1)
    assert one_after_the_other(BOB, 20) == 20
    clock.now += 1.0
    assert one_after_the_other(ALICE, 200) == pytest.approx(LIMITS.calls_per_second, abs=1)
    assert one_after_the_other(DEPLOYER, 200) == 200
