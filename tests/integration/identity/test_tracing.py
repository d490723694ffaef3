"""One trace from the caller through deployer and inventory, as a collector of OpenTelemetry gets it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc, deployment_pb2
from tests.tls_site import tls_site

pytestmark = pytest.mark.integration

SECONDS = 30
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@contextmanager
def collector() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """Yields the address of a collector, and the spans that came with the services that made them."""
    spans: list[tuple[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
            for resource in request.resource_spans:
                service = next(
                    each.value.string_value for each in resource.resource.attributes if each.key == "service.name"
                )
                spans.extend((service, span) for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", spans
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_spans_of_all_services_are_one_trace_below_the_callers(tmp_path: Path) -> None:
    with collector() as (endpoint, spans), tls_site(tmp_path, tracing=endpoint) as site:
        with site.channel("deployer", "alice") as channel:
            stub = deployer_service_pb2_grpc.DeploymentServiceStub(channel)
            spec = deployment_pb2.DeploymentSpec(nodes="node-1", environment_name="nothing", device="sda", partition=3)
            with pytest.raises(grpc.RpcError):
                stub.PlanDeployment(
                    deployer_service_pb2.PlanDeploymentRequest(spec=spec),
                    timeout=SECONDS,
                    metadata=(("traceparent", f"00-{TRACE}-{SPAN}-01"),),
                )
        deadline = time.monotonic() + SECONDS
        while len(found := {span.name: (who, span) for who, span in spans if span.trace_id.hex() == TRACE}) < 2:
            assert time.monotonic() < deadline, spans
            time.sleep(0.2)
    who, outer = found["kadeploy.deployer.v1.DeploymentService/PlanDeployment"]
    assert (who, outer.parent_span_id.hex()) == ("kadeploy-deployer", SPAN)
    who, inner = found["kadeploy.inventory.v1.ResolutionService/ResolveDeployment"]
    assert (who, inner.parent_span_id) == ("kadeploy-inventory", outer.span_id)
    outcomes = {each.key: each.value.string_value for each in outer.attributes}
    assert outcomes["kadeploy.outcome"] == "ENVIRONMENT_NOT_FOUND"
    assert len(outcomes["kadeploy.request_id"]) == 12
    # Health is asked all the time, and would drown everything.
    assert not any("Health" in span.name for _, span in spans)
