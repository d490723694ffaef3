"""Whom a node asks, and in which order."""

from kabroadcast.candidates import Candidates
from kabroadcast.wire import Place

SOURCE = Place("the deployer", "192.0.2.1", 4000, source=True)


def place(number: int) -> Place:
    return Place(f"n{number}", f"192.0.2.{number + 10}", 7301)


def names(candidates: Candidates, *excluded: str) -> list[str]:
    return [each.name for each in candidates.order(*excluded)]


def test_the_nearest_come_first_and_the_deployer_last() -> None:
    candidates = Candidates([place(3), place(2), place(1)], SOURCE)
    assert names(candidates) == ["n3", "n2", "n1", "the deployer"]
    assert names(candidates, "n3", "the deployer") == ["n2", "n1"]


def test_whoever_is_named_is_asked_next_and_who_named_him_after_that() -> None:
    candidates = Candidates([place(3), place(2)], SOURCE)
    candidates.sent_on(place(3), place(7))
    assert names(candidates) == ["n7", "n3", "n2", "the deployer"]
    candidates.leave(place(7), "no answer in time", 100)
    assert names(candidates) == ["n3", "n2", "the deployer"]


def test_who_is_left_rests_and_is_named_to_the_next_for_a_while() -> None:
    candidates = Candidates([place(1)], SOURCE)
    candidates.leave(place(1), "silent", 100)
    assert candidates.rests(place(1), 100.1)
    assert not candidates.rests(place(1), 101)
    assert candidates.skipped(101) == ["n1"]
    assert candidates.skipped(200) == []
    assert candidates.reasons == {"n1": "silent"}


def test_who_lied_is_never_asked_again() -> None:
    candidates = Candidates([place(2), place(1)], SOURCE)
    candidates.bar(place(2))
    candidates.attached(place(1), [place(2)])
    assert names(candidates) == ["n1", "the deployer"]


def test_the_upstream_says_who_is_before_it_and_what_was_known_stays_behind_that() -> None:
    candidates = Candidates([place(5), place(4), place(3)], SOURCE)
    candidates.attached(place(5), [])
    assert names(candidates) == ["n5", "n4", "n3", "the deployer"]
    candidates.attached(place(5), [place(8), place(7)])
    assert names(candidates) == ["n5", "n8", "n7", "n4", "the deployer"]
    candidates.attached(SOURCE, [])
    assert names(candidates) == ["the deployer"]
