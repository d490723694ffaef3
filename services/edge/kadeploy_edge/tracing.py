"""Spans of calls for OpenTelemetry, and the W3C trace context from client to all services. Off by default.

OpenTelemetry is imported when the settings name an endpoint: it is an optional dependency (`kadeploy-edge[tracing]`).
Spans carry the method, the outcome and the request's id, and nothing of what a request holds.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from kadeploy_edge.errors import Invalid
from kadeploy_edge.request_id import current_request_id, passed_on

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
FLUSH_MILLISECONDS = 3_000


class TracingUnavailable(Invalid):
    """The settings want traces, and OpenTelemetry is not installed."""

    reason = "TRACING_UNAVAILABLE"


_inject: Callable[[dict[str, str]], None] | None = None


def outgoing() -> tuple[tuple[str, str], ...]:
    """Returns the metadata with which another service learns for what a call is made."""
    return (*passed_on(), *trace_context())


def trace_context() -> tuple[tuple[str, str], ...]:
    """Returns the metadata that ties another service's spans to the present one; empty without tracing."""
    if _inject is None:
        return ()
    carrier: dict[str, str] = {}
    _inject(carrier)
    return tuple(carrier.items())


class Tracer:
    """Makes a span of each call, and sends them to a collector, in the background."""

    def __init__(self, service: str, endpoint: str) -> None:
        """Begins to send.

        Args:
            service: its name.
            endpoint: where the collector takes OTLP over HTTP: "http://127.0.0.1:4318/v1/traces".

        Raises:
            TracingUnavailable: OpenTelemetry is not installed.
        """
        try:
            sdk = importlib.import_module("opentelemetry.sdk.trace")
            export = importlib.import_module("opentelemetry.sdk.trace.export")
            otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
            resources = importlib.import_module("opentelemetry.sdk.resources")
            self._api = importlib.import_module("opentelemetry.trace")
            propagation = importlib.import_module("opentelemetry.trace.propagation.tracecontext")
        except ImportError as error:
            raise TracingUnavailable(
                f"[tracing] needs OpenTelemetry, which is not installed: pip install 'kadeploy-edge[tracing]' ({error})"
            ) from error
        resource = resources.Resource.create({"service.name": f"kadeploy-{service}"})
        self._provider = sdk.TracerProvider(resource=resource)
        self._provider.add_span_processor(export.BatchSpanProcessor(otlp.OTLPSpanExporter(endpoint=endpoint)))
        self._tracer = self._provider.get_tracer("kadeploy")
        self._propagator = propagation.TraceContextTextMapPropagator()
        global _inject  # noqa: PLW0603 - one tracer for each process
        _inject = self._propagator.inject

    @contextmanager
    def span(self, method: str, metadata: object) -> Iterator[Callable[[str], None]]:
        """Makes a span of a call while the block runs, below the caller's span; yields what notes its outcome."""
        parent = self._propagator.extract(_texts(metadata))
        with self._tracer.start_as_current_span(
            method.lstrip("/"), context=parent, kind=self._api.SpanKind.SERVER, record_exception=False
        ) as span:
            span.set_attribute("rpc.system", "grpc")
            span.set_attribute("rpc.method", method.lstrip("/"))
            span.set_attribute("kadeploy.request_id", current_request_id.get())

            def note(outcome: str) -> None:
                span.set_attribute("kadeploy.outcome", outcome)
                if outcome != "OK":
                    span.set_status(self._api.StatusCode.ERROR)

            yield note

    def close(self) -> None:
        """Sends what is left, for a few seconds."""
        self._provider.force_flush(FLUSH_MILLISECONDS)
        self._provider.shutdown()


def _texts(metadata: object) -> Mapping[str, str]:
    wanted = {TRACEPARENT, TRACESTATE}
    return {key: value for key, value in metadata or () if key in wanted and isinstance(value, str)}  # type: ignore[attr-defined]  # gRPC's pairs
