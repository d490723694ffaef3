"""The median of each step, asked of the deployer beside the watch: a slow answer must not hold the watch up."""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import grpc

from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy_cli.connection.connect import Deployer

DAYS = 90


class StepHistory:
    """Reads the statistics of the last months once. Without an answer there is no history, and nothing else changes."""

    def __init__(self, deployer: Deployer) -> None:
        self._deployer = deployer
        self._medians: dict[str, float] = {}
        threading.Thread(target=self._read, name="history", daemon=True).start()

    def medians(self) -> Mapping[str, float]:
        """Returns the median seconds of each step that has a history; empty until the answer is there."""
        return self._medians

    def _read(self) -> None:
        request = deployer_service_pb2.GetStatisticsRequest()
        request.start_time.FromDatetime(datetime.now(UTC) - timedelta(days=DAYS))
        try:
            answer = self._deployer.states.GetStatistics(request, timeout=self._deployer.deadlines.call)
        except (grpc.RpcError, ValueError):
            # The service is older, busy or gone, or the command has ended meanwhile: the watch says it where it counts.
            return
        self._medians = {
            step.step: step.median_duration.ToNanoseconds() / 1e9 for step in answer.steps if step.count > step.failures
        }
