"""`python3 -m kadeploy_edge.health_probe ADDRESS`: asks a service for its health; status 0 when it serves.

For the health checks of containers and of anything else that wants an exit status. It calls as whoever the certificates
belong to; a service may use its own.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kadeploy_edge.channel import open_channel
from kadeploy_edge.errors import DomainError
from kadeploy_edge.health import REASON_KEY
from kadeploy_edge.status import from_rpc_error
from kadeploy_edge.tls import TlsFiles

USAGE, UNHEALTHY = 2, 1
SECONDS = 4.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status."""
    options = _parser().parse_args(arguments)
    tls = _certificates(options.tls) if options.tls else None
    try:
        with open_channel(options.address, caller="", tls=tls, insecure=options.insecure) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            request = health_pb2.HealthCheckRequest(service=options.service)
            answer, call = stub.Check.with_call(request, timeout=options.seconds)
    except DomainError as error:
        return _complain(error.message, USAGE)
    except grpc.RpcError as error:
        remote = from_rpc_error(error)
        return _complain(f"{options.address} does not answer: {remote.message or remote.code.name}", UNHEALTHY)
    state = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        reasons = [str(value) for key, value in call.trailing_metadata() or () if key == REASON_KEY]
        return _complain(": ".join((f"{options.address} is {state}", *reasons)), UNHEALTHY)
    sys.stdout.write(f"{options.address} is {state}\n")
    return 0


def _certificates(directory: Path) -> TlsFiles:
    """The files as `ka pki issue` names them."""
    return TlsFiles(
        certificate=directory / "certificate.pem",
        private_key=directory / "private_key.pem",
        ca=directory / "ca.pem",
    )


def _complain(sentence: str, status: int) -> int:
    sys.stderr.write(f"health_probe: {sentence}\n")
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="health_probe", description="Asks a service for its health.")
    parser.add_argument("address", metavar="ADDRESS", help="HOST:PORT or unix:/path")
    parser.add_argument(
        "--service",
        default="",
        metavar="NAME",
        help="one gRPC service, or one thing that it depends on, such as tree; default: the whole server",
    )
    parser.add_argument(
        "--tls", type=Path, metavar="DIRECTORY", help="where certificate.pem, private_key.pem and ca.pem are"
    )
    parser.add_argument("--insecure", action="store_true", help="plain text on loopback")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, metavar="N", help=f"patience in seconds; default: {SECONDS:g}"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
