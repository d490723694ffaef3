"""The metrics of a service, over HTTP at an address of their own, in the text format of Prometheus. Off by default.

Labels are bounded: methods, codes, reasons, steps and states are words of the contracts; no user, node or deployment is
one. What all services have is here; the deployer's own is in its `adapters/activity_metrics.py`.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import start_http_server
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from kadeploy_edge.errors import Exhausted
from kadeploy_edge.tls import TlsFiles, UnusableCertificate, read_certificates

CALL_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
DATABASE_SECONDS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class MetricsAddressInUse(Exhausted):
    """The address of the metrics is taken."""

    reason = "METRICS_ADDRESS_IN_USE"


def certificates_of(tls: TlsFiles | None) -> dict[str, Path]:
    """Returns the certificates whose ends are told: the service's own, and the site's authority."""
    return {} if tls is None else {"service": tls.certificate, "authority": tls.ca}


class ServiceMetrics:
    """What every service measures.

    Attributes:
        registry: what is exposed.
    """

    def __init__(self, service: str, *, certificates: Mapping[str, Path] | None = None) -> None:
        """Begins at nothing.

        Args:
            service: its name.
            certificates: whose ends are told, by the name that the label has.
        """
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        build = Gauge("kadeploy_build_info", "The release that runs.", ("service", "version"), registry=self.registry)
        build.labels(service, version("kadeploy-edge")).set(1)
        self._calls = Counter(
            "kadeploy_rpcs_total", "Calls that were answered.", ("method", "code"), registry=self.registry
        )
        self._call_seconds = Histogram(
            "kadeploy_rpc_seconds",
            "How long calls took, streams to their end.",
            ("method",),
            buckets=CALL_SECONDS,
            registry=self.registry,
        )
        self._statement_seconds = Histogram(
            "kadeploy_database_seconds",
            "How long statements took.",
            ("database",),
            buckets=DATABASE_SECONDS,
            registry=self.registry,
        )
        self.registry.register(_CertificateEnds(certificates or {}))

    def call_ended(self, method: str, code: str, seconds: float) -> None:
        """Counts a call: "/package.Service/Method", the name of its code, and how long it took."""
        name = method.lstrip("/")
        self._calls.labels(name, code).inc()
        self._call_seconds.labels(name).observe(seconds)

    def statement_observer(self, database: str) -> Callable[[float], None]:
        """Returns what counts the statements of a database by their seconds."""
        return self._statement_seconds.labels(database).observe

    def watch_dependencies(self, problem_of: Callable[[str], str], names: Iterable[str]) -> None:
        """Exposes whether each dependency is as it should be."""
        self.registry.register(_Dependencies(problem_of, sorted(names)))


class _CertificateEnds(Collector):
    """The time until certificates end, looked at when somebody asks: files are renewed at any time."""

    def __init__(self, certificates: Mapping[str, Path]) -> None:
        self._certificates = dict(certificates)

    def collect(self) -> Iterator[Metric]:
        """Gives one value for each certificate that can be read."""
        found = GaugeMetricFamily(
            "kadeploy_certificate_left_seconds", "Time until a certificate ends.", labels=("certificate",)
        )
        for name, path in self._certificates.items():
            with contextlib.suppress(UnusableCertificate):
                left = read_certificates(path)[0].not_valid_after_utc - datetime.now(UTC)
                found.add_metric((name,), left.total_seconds())
        yield found


class _Dependencies(Collector):
    def __init__(self, problem_of: Callable[[str], str], names: list[str]) -> None:
        self._problem_of = problem_of
        self._names = names

    def collect(self) -> Iterator[Metric]:
        """Gives one value for each dependency, and one for the service as a whole."""
        found = GaugeMetricFamily(
            "kadeploy_serving", "1 where a service, or what it depends on, is as it should be.", labels=("what",)
        )
        for name in ("", *self._names):
            found.add_metric((name or "service",), 0.0 if self._problem_of(name) else 1.0)
        yield found


@contextlib.contextmanager
def exposed(metrics: ServiceMetrics, address: str) -> Iterator[str]:
    """Answers `GET /metrics` at an address while the block runs, and yields "host:port".

    Raises MetricsAddressInUse.
    """
    host, _, port = address.rpartition(":")
    try:
        server, thread = start_http_server(int(port), addr=host.strip("[]"), registry=metrics.registry)
    except OSError as error:
        raise MetricsAddressInUse(
            f"{address}, where [metrics] wants the metrics, is in use or cannot be bound: {error.strerror}",
            metadata={"address": address},
        ) from error
    try:
        yield f"{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
