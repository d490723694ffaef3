"""One node's trouble is one node's outcome."""

import asyncio
import logging

import pytest

from kadeploy_deployer.domain.errors import LeaseLost
from kadeploy_deployer.domain.outcome import Failure, Outcome
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.nodes.each_node import NodeFailed, on_each_node
from kadeploy_deployer.nodes.reboot_window import RebootWindow
from kadeploy_deployer.ports import NodeUnreachable
from tests.fakes.manual_clock import ManualClock

REASON = FailureReason.FORMAT_FAILED


async def test_each_error_becomes_the_outcome_of_its_node(caplog: pytest.LogCaptureFixture) -> None:
    async def work(node: str) -> Outcome:
        match node:
            case "unreachable":
                raise NodeUnreachable("unreachable does not answer")
            case "failed":
                raise NodeFailed("mkfs on failed failed")
            case "own":
                return Failure(reason=FailureReason.PARTITION_TOO_SMALL, description="too small")
            case "surprise":
                raise KeyError("secret")
        return None

    with caplog.at_level(logging.CRITICAL, logger="kadeploy_deployer.nodes.each_node"):
        outcomes = await on_each_node(
            ["good", "unreachable", "failed", "own", "surprise"], work, reason=REASON, timeout=10.0
        )
    assert list(outcomes.values()) == [
        None,
        Failure(reason=REASON, description="unreachable does not answer"),
        Failure(reason=REASON, description="mkfs on failed failed"),
        Failure(reason=FailureReason.PARTITION_TOO_SMALL, description="too small"),
        Failure(
            reason=FailureReason.INTERNAL,
            description="internal error on surprise: KeyError; the log of the deployer tells more",
        ),
    ]


async def test_a_node_that_takes_too_long_fails_alone() -> None:
    async def work(node: str) -> Outcome:
        if node == "slow":
            await asyncio.Event().wait()
        return None

    outcomes = await on_each_node(["slow", "quick"], work, reason=REASON, timeout=0.05)
    assert outcomes["quick"] is None
    assert outcomes["slow"] == Failure(reason=REASON, description="slow was not done within 0.05 s")


async def test_no_more_nodes_than_allowed_are_worked_on_at_a_time() -> None:
    running, most = 0, 0

    async def work(_node: str) -> Outcome:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return None

    nodes = [f"node-{number}" for number in range(20)]
    await on_each_node(nodes, work, reason=REASON, timeout=10.0, at_once=3)
    assert most == 3


async def test_a_lost_lease_stops_the_work_on_all_nodes() -> None:
    stopped = asyncio.Event()

    async def work(node: str) -> Outcome:
        if node == "first":
            raise LeaseLost("d-1")
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return None

    with pytest.raises(LeaseLost):
        await on_each_node(["second", "first"], work, reason=REASON, timeout=10.0)
    assert stopped.is_set()


async def test_no_nodes_are_no_trouble() -> None:
    async def work(_node: str) -> Outcome:
        return None

    assert await on_each_node([], work, reason=REASON, timeout=1.0) == {}


async def test_a_window_lets_so_many_through_and_then_pauses() -> None:
    clock = ManualClock(0.0)
    window = RebootWindow(size=2, pause=10.0, clock=clock)
    passed: list[float] = []

    async def one() -> None:
        await window.turn()
        passed.append(clock.time)

    await asyncio.gather(*(one() for _ in range(5)))
    assert passed == [0.0, 0.0, 10.0, 10.0, 20.0]
    await clock.sleep(100.0)
    await window.turn()
    assert clock.time == 120.0
