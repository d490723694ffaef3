"""The deployer's own metrics: what it drives, by state; steps, failures, broadcasts, leases, the queue."""

import time
from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from kadeploy_deployer.domain.lease_record import LeaseKind, LeaseRecord
from kadeploy_deployer.domain.lifecycle import DeploymentTrigger
from kadeploy_deployer.domain.operation import AnyOperation
from kadeploy_deployer.domain.transition import Transition
from kadeploy_deployer.ports.activity import ActivityObserver, kind_of

STEP_SECONDS = (0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)


@dataclass(slots=True)
class _Driven:
    """One deployment or operation: its kind and state, the states of its nodes, since when each is in its step."""

    kind: str
    state: str
    nodes: dict[str, str] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)


class ActivityMetrics(ActivityObserver, Collector):
    """Counts what is begun and ended, and exposes what runs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._driven: dict[str, _Driven] = {}
        self._ended = Counter(
            "kadeploy_operations_total",
            "Deployments and operations that ended, by how.",
            ("kind", "outcome"),
            registry=registry,
        )
        self._step_seconds = Histogram(
            "kadeploy_step_seconds",
            "How long attempts at steps took.",
            ("kind", "step", "succeeded"),
            buckets=STEP_SECONDS,
            registry=registry,
        )
        self._failures = Counter(
            "kadeploy_node_failures_total",
            "Nodes that failed, by reason.",
            ("kind", "step", "reason"),
            registry=registry,
        )
        self._lost = Counter(
            "kadeploy_leases_lost_total", "Deployments and operations whose lease was lost.", registry=registry
        )
        self._sent = Counter(
            "kadeploy_broadcast_sent_bytes_total", "Bytes of images that the deployer itself sent.", registry=registry
        )
        self._delivered = Counter(
            "kadeploy_broadcast_delivered_bytes_total", "Bytes of images that nodes received.", registry=registry
        )
        self._queue = Gauge("kadeploy_queue_length", "Requests that wait for their turn.", registry=registry)
        registry.register(self)

    @override
    def began(self, operation: AnyOperation) -> None:
        driven = _Driven(kind=kind_of(operation), state=operation.state.value)
        driven.nodes = {node.node: node.state.value for node in operation.nodes if node.state is not None}
        self._driven[operation.id] = driven

    @override
    def moved(self, operation_id: str, transition: Transition) -> None:
        driven = self._driven.get(operation_id)
        if driven is None:
            return
        now, node = time.monotonic(), transition.node
        driven.nodes[node] = transition.after.state.value
        if transition.ended is not None and node in driven.steps:
            succeeded = "false" if transition.ended.failure else "true"
            seconds = now - driven.steps[node]
            self._step_seconds.labels(driven.kind, transition.ended.step, succeeded).observe(seconds)
        if transition.failure is not None and transition.after.failed:
            step = transition.before.step or "none"
            self._failures.labels(driven.kind, step, transition.failure.reason.value).inc()
        if transition.enters_step:
            driven.steps[node] = now
        else:
            driven.steps.pop(node, None)

    @override
    def ended(self, operation_id: str, trigger: DeploymentTrigger, description: str, *, now: float) -> None:
        driven = self._driven.pop(operation_id, None)
        self._ended.labels(driven.kind if driven else "unknown", trigger.value).inc()

    @override
    def left(self, operation_id: str) -> None:
        self._driven.pop(operation_id, None)

    @override
    def lost(self, operation_id: str) -> None:
        self._lost.inc()
        self._driven.pop(operation_id, None)

    @override
    def seen(self, leases: Sequence[LeaseRecord]) -> None:
        self._queue.set(sum(lease.kind is LeaseKind.QUEUE_PLACE for lease in leases))

    def broadcast_ended(self, sent_bytes: int, delivered_bytes: int) -> None:
        """Counts the bytes of one broadcast."""
        self._sent.inc(sent_bytes)
        self._delivered.inc(delivered_bytes)

    @override
    def collect(self) -> Iterator[Metric]:
        """Gives what this deployer drives now."""
        # The loop's thread goes on meanwhile.
        driven = list(self._driven.values())
        operations = Tally((one.kind, one.state) for one in driven)
        nodes = Tally((one.kind, state) for one in driven for state in list(one.nodes.values()))
        for name, text, tally in (
            ("kadeploy_operations", "Deployments and operations that this deployer drives.", operations),
            ("kadeploy_nodes", "Nodes of what this deployer drives.", nodes),
        ):
            family = GaugeMetricFamily(name, text, labels=("kind", "state"))
            for labels, count in tally.items():
                family.add_metric(labels, count)
            yield family
