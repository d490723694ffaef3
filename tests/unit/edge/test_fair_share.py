"""A caller's things wait for one another, in order, and for nobody else's."""

import asyncio

import pytest

from kadeploy_edge.fair_share import FairShare


async def turn(share: FairShare, caller: str, order: list[str], name: str) -> None:
    await share.take(caller, most=1)
    order.append(name)


async def test_the_second_waits_for_the_first_and_others_do_not() -> None:
    share, order = FairShare(), list[str]()
    await turn(share, "alice", order, "first")
    second = asyncio.create_task(turn(share, "alice", order, "second"))
    third = asyncio.create_task(turn(share, "alice", order, "third"))
    await turn(share, "bob", order, "bob's")
    await asyncio.sleep(0)
    assert order == ["first", "bob's"]
    share.give_back("alice")
    await second
    share.give_back("alice")
    await third
    assert order == ["first", "bob's", "second", "third"]


async def test_who_stops_waiting_is_passed_over() -> None:
    share, order = FairShare(), list[str]()
    await turn(share, "alice", order, "first")
    waiting = [asyncio.create_task(turn(share, "alice", order, f"{number}")) for number in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.gather(waiting[0], return_exceptions=True)
    share.give_back("alice")
    await waiting[1]
    # Its turn has come, and it is cancelled before it knows.
    share.give_back("alice")
    waiting[2].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting[2]
    await asyncio.wait_for(turn(share, "alice", order, "last"), 1)
    assert order == ["first", "1", "last"]


async def test_nothing_is_kept_of_who_is_gone() -> None:
    share = FairShare()
    for number in range(100):
        await share.take(f"{number}", most=1)
        share.give_back(f"{number}")
    assert not share._shares
