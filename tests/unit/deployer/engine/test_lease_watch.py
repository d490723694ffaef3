"""When a lease is held to have run out: by what the observer has seen itself, and by its own monotonic clock."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from kadeploy_deployer.domain.lease_record import LONGEST_LEASE, LeaseKind, LeaseRecord
from kadeploy_deployer.engine.lease_watch import LeaseWatch

LEASE = LeaseRecord(kind=LeaseKind.DEPLOYMENT, name="d-1", seconds=30.0, renewals=7, driver="red", fence=1)


def look(watch: LeaseWatch, *leases: LeaseRecord, at: float) -> list[LeaseRecord]:
    return watch.find_expired(leases, asked_at=at, answered_at=at)


def test_what_stands_unchanged_for_as_long_as_it_lasts_has_run_out() -> None:
    watch = LeaseWatch()
    assert look(watch, LEASE, at=100.0) == []
    assert look(watch, LEASE, at=129.9) == []
    assert look(watch, LEASE, at=130.0) == [LEASE]


def test_each_renewal_and_each_new_driver_counts_anew() -> None:
    watch = LeaseWatch()
    look(watch, LEASE, at=0.0)
    renewed, taken = replace(LEASE, renewals=8), replace(LEASE, renewals=8, driver="blue", fence=2)
    assert look(watch, renewed, at=29.0) == []
    assert look(watch, taken, at=58.0) == []
    assert look(watch, taken, at=87.9) == []
    assert look(watch, taken, at=88.0) == [taken]


def test_a_slow_answer_takes_nothing_from_the_living() -> None:
    watch = LeaseWatch()
    # It may have been renewed just before the answer came, and holds for a whole lease from then on.
    watch.find_expired([LEASE], asked_at=0.0, answered_at=10.0)
    assert watch.find_expired([LEASE], asked_at=39.0, answered_at=60.0) == []
    assert watch.find_expired([LEASE], asked_at=40.0, answered_at=60.0) == [LEASE]


def test_what_is_away_for_a_moment_counts_anew() -> None:
    watch = LeaseWatch()
    look(watch, LEASE, at=0.0)
    look(watch, at=10.0)
    assert look(watch, LEASE, at=31.0) == []
    assert look(watch, LEASE, at=61.0) == [LEASE]


def test_what_was_given_back_is_free_at_once_and_a_place_or_operation_never_is() -> None:
    given_back = replace(LEASE, driver="")
    operation = replace(LEASE, kind=LeaseKind.CONSOLE, driver="")
    assert look(LeaseWatch(), given_back, operation, at=0.0) == [given_back]


def test_no_lease_lasts_longer_than_the_longest() -> None:
    watch, absurd = LeaseWatch(), replace(LEASE, seconds=1e12)
    look(watch, absurd, at=0.0)
    assert look(watch, absurd, at=LONGEST_LEASE) == [absurd]


@given(
    st.lists(st.floats(min_value=0.0, max_value=29.0), min_size=1, max_size=20),
    st.floats(min_value=1.0, max_value=100.0),
)
def test_whoever_renews_in_time_keeps_the_lease_however_often_somebody_looks(gaps: list[float], step: float) -> None:
    watch, now, renewals = LeaseWatch(), 0.0, 0
    for gap in gaps:
        end = now + gap
        while now < end:
            assert look(watch, replace(LEASE, renewals=renewals), at=now) == []
            now += step
        now, renewals = end, renewals + 1
