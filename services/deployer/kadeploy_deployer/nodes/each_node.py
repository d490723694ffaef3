"""Runs a coroutine on every node of a set at the same time and turns whatever goes wrong on one into its outcome."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from kadeploy_deployer.domain.errors import LeaseLost, StoreFailed
from kadeploy_deployer.domain.outcome import Failure, Outcome
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.ports import BootError, ImageError, PowerError, ShellError

NODES_AT_ONCE = 100

Ended = Callable[[str, Outcome], Awaitable[None]]

_log = logging.getLogger(__name__)


class NodeFailed(Exception):
    """A node cannot do its step; `str()` is one sentence. The step's own reason goes with it."""


async def on_each_node(
    nodes: Sequence[str],
    work: Callable[[str], Awaitable[Outcome]],
    *,
    reason: FailureReason,
    timeout: float,
    at_once: int = NODES_AT_ONCE,
    ended: Ended | None = None,
) -> dict[str, Outcome]:
    """Returns one outcome for each node; never raises for one node's sake.

    That the deployment itself is lost (its lease, its database) is raised; the work on the nodes is stopped first.

    Args:
        nodes: their names.
        work: does the step for one node.
        reason: of the failures that the ports raise, and of a timeout.
        timeout: seconds for the whole set; nodes that are not done by then fail, the others keep what they reached.
        at_once: how many nodes are worked on at a time.
        ended: is told each outcome as soon as it is there.
    """
    window = asyncio.Semaphore(at_once)

    async def one(node: str) -> Outcome:
        outcome = await attempt(node)
        if ended is not None:
            await ended(node, outcome)
        return outcome

    async def attempt(node: str) -> Outcome:
        try:
            async with asyncio.timeout(timeout), window:
                return await work(node)
        except TimeoutError:
            return Failure(reason=reason, description=f"{node} was not done within {timeout:g} s")
        except (NodeFailed, ShellError, PowerError, BootError, ImageError) as error:
            return Failure(reason=reason, description=str(error))
        except (LeaseLost, StoreFailed):
            raise
        except Exception as error:  # noqa: BLE001 - logged, and told as this node's outcome
            _log.exception("node=%s step failed unexpectedly", node)
            description = f"internal error on {node}: {type(error).__name__}; the log of the deployer tells more"
            return Failure(reason=FailureReason.INTERNAL, description=description)

    tasks = [asyncio.create_task(one(node)) for node in nodes]
    try:
        outcomes = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return dict(zip(nodes, outcomes, strict=True))


def all_failed(
    nodes: Sequence[str], reason: FailureReason, description: str, *, retriable: bool = True
) -> dict[str, Outcome]:
    """Returns the same failure for every node."""
    return dict.fromkeys(nodes, Failure(reason=reason, description=description, retriable=retriable))
