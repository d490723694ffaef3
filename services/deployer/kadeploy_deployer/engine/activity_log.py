"""One line in the log for the begin and the end of each deployment and operation, and one for each node that failed."""

import logging
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from typing_extensions import override

from kadeploy_deployer.domain.lease_record import LeaseRecord
from kadeploy_deployer.domain.lifecycle import DeploymentTrigger
from kadeploy_deployer.domain.operation import AnyOperation
from kadeploy_deployer.domain.states import DeploymentState
from kadeploy_deployer.domain.transition import Transition
from kadeploy_deployer.ports.activity import ActivityObserver, kind_of
from kadeploy_edge.request_id import current_request_id

logger = logging.getLogger(__name__)

MOST_KNOWN = 10_000
"""Deployments that were left and not ended are forgotten when there are so many."""


@dataclass(slots=True)
class Running:
    """A deployment or operation under way: since when, and since when each node is in its step."""

    operation: AnyOperation
    state: DeploymentState
    steps: dict[str, float] = field(default_factory=dict)
    failed: int = 0


class ActivityLog(ActivityObserver):
    """Writes the lines."""

    def __init__(self) -> None:
        self._running: OrderedDict[str, Running] = OrderedDict()

    @override
    def began(self, operation: AnyOperation) -> None:
        known = self._running.get(operation.id)
        if known is not None and known.state is operation.state:
            return
        self._running[operation.id] = Running(operation=operation, state=operation.state)
        while len(self._running) > MOST_KNOWN:
            self._running.popitem(last=False)
        logger.info(
            "deployment=%s kind=%s state=%s owner=%s nodes=%d fence=%d request_id=%s begins",
            operation.id,
            kind_of(operation),
            operation.state.value,
            operation.owner,
            len(operation.nodes),
            operation.fence,
            current_request_id.get() or "-",
        )

    @override
    def moved(self, operation_id: str, transition: Transition) -> None:
        running = self._running.get(operation_id)
        if running is None:
            return
        now, node = time.monotonic(), transition.node
        if transition.failure is not None and transition.after.failed:
            running.failed += 1
            logger.info(
                "deployment=%s node=%s step=%s reason=%s seconds=%.1f failed: %s",
                operation_id,
                node,
                transition.before.step or "-",
                transition.failure.reason.value,
                now - running.steps.get(node, now),
                transition.failure.description,
            )
        if transition.enters_step:
            running.steps[node] = now
        else:
            running.steps.pop(node, None)

    @override
    def ended(self, operation_id: str, trigger: DeploymentTrigger, description: str, *, now: float) -> None:
        running = self._running.pop(operation_id, None)
        began = running.operation.start_time or running.operation.create_time if running else now
        logger.info(
            "deployment=%s kind=%s outcome=%s failed=%d seconds=%.1f ends: %s",
            operation_id,
            kind_of(running.operation) if running else "-",
            trigger.value,
            running.failed if running else 0,
            now - began,
            description,
        )

    @override
    def left(self, operation_id: str) -> None:
        self._running.pop(operation_id, None)

    @override
    def lost(self, operation_id: str) -> None:
        # The supervisor says why.
        self._running.pop(operation_id, None)

    @override
    def seen(self, leases: Sequence[LeaseRecord]) -> None:
        """Nothing of it is logged."""
