"""Work in threads: fair shares, and nothing that outlives its caller in secret."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from kadeploy_deployer.files.file_threads import FileThreads
from kadeploy_deployer.files.user_limiter import UserLimiter


@contextmanager
def held() -> Iterator[threading.Event]:
    """Gives an event that work can wait for, and sets it at the end."""
    event = threading.Event()
    try:
        yield event
    finally:
        event.set()


async def until(condition: Callable[[], object]) -> None:
    """Waits until a function says yes."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - threads set no events of the loop
            await asyncio.sleep(0.005)


async def test_results_and_errors_come_back() -> None:
    threads = FileThreads(in_all=2, per_user=1)
    assert await threads.run(lambda _: 7) == 7
    with pytest.raises(FileNotFoundError):
        await threads.run(lambda _: open("/no/such/file"))  # noqa: PTH123, SIM115 - it is the error that counts


async def test_one_user_has_so_many_threads_and_all_together_have_so_many() -> None:
    threads = FileThreads(in_all=3, per_user=2)
    running: list[str] = []
    with held() as event:

        def work(user: str, _stopped: threading.Event) -> None:
            running.append(user)
            event.wait(10)

        tasks = [
            asyncio.create_task(threads.run(partial(work, user), user=user))
            for user in ("alice", "alice", "alice", "alice", "bob", "carol")
        ]
        await until(lambda: len(running) == 3)
        await asyncio.sleep(0.05)
        assert sorted(running) == ["alice", "alice", "bob"]
        event.set()
        await asyncio.gather(*tasks)
    assert len(running) == 6


async def test_work_is_told_when_its_caller_leaves_and_keeps_its_place_until_it_ends() -> None:
    threads = FileThreads(in_all=1, per_user=1)
    told = threading.Event()
    with held() as event:

        def work(stopped: threading.Event) -> None:
            if stopped.wait(10):
                told.set()
            event.wait(10)

        task = asyncio.create_task(threads.run(work))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(told.is_set)
        second = asyncio.create_task(threads.run(lambda _: "done"))
        await asyncio.sleep(0.05)
        assert not second.done()
        event.set()
        assert await second == "done"


async def test_a_result_that_comes_too_late_is_discarded() -> None:
    threads = FileThreads(in_all=1, per_user=1)
    discarded: list[str] = []
    with held() as event:
        task = asyncio.create_task(threads.run(lambda _: (event.wait(10) and "late") or "", discard=discarded.append))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        event.set()
        await until(lambda: discarded)
    assert discarded == ["late"]


def test_the_end_of_the_loop_waits_for_no_thread() -> None:
    with held() as event:

        async def leave() -> None:
            task = asyncio.create_task(FileThreads(in_all=1, per_user=1).run(lambda _: event.wait(30)))
            await asyncio.sleep(0.05)
            task.cancel()

        asyncio.run(asyncio.wait_for(leave(), 5))
        left = [thread for thread in threading.enumerate() if thread.name == "file-work"]
        assert left
        # The interpreter waits for none of these either.
        assert all(thread.daemon for thread in left)


async def test_threads_are_used_again_and_end_when_there_is_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kadeploy_deployer.files.file_threads.IDLE_SECONDS", 0.05)
    threads = FileThreads(in_all=4, per_user=4)
    used: set[threading.Thread] = set()
    for number in range(60):
        if not number % 20:
            # About as long as a thread waits: some end at the very moment at which they are wanted.
            await asyncio.sleep(0.05)
        found = await asyncio.gather(*(threads.run(lambda _: threading.current_thread()) for _ in range(8)))
        assert len(found) == 8
        used |= set(found)
    assert len(used) < 100
    await until(lambda: not any(thread.is_alive() for thread in used))
    assert threads._workers._idle == 0


async def test_a_place_that_was_waited_for_in_vain_is_nobody_s() -> None:
    limiter = UserLimiter(in_all=2, per_user=1)
    release = await limiter.acquire("alice")
    other = await limiter.acquire("bob")
    waiting = [asyncio.create_task(limiter.acquire(user)) for user in ("alice", "carol")]
    await asyncio.sleep(0.01)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    release()
    other()
    async with asyncio.timeout(1):
        for user in ("alice", "carol"):
            async with limiter.slot(user):
                pass
    assert (limiter._own, limiter._requests) == ({}, {})


async def test_users_who_ask_much_do_not_stand_before_those_who_ask_once() -> None:
    limiter = UserLimiter(in_all=1, per_user=1)
    order: list[str] = []

    async def work(user: str) -> None:
        async with limiter.slot(user):
            order.append(user)
            await asyncio.sleep(0)

    async with asyncio.timeout(5):
        await asyncio.gather(*(work(user) for user in ["mallory"] * 20 + ["alice"]))
    assert order.index("alice") <= 2
