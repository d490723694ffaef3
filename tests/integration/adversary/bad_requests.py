"""Requests that no client of ours sends, as bytes, and what becomes of them."""

import functools
from collections.abc import Iterator
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor

from kadeploy_edge.requests import largest_request
from kadeploy_edge.status import from_rpc_error
from tests.tls_site import CONTRACTS

MEBIBYTE = 1 << 20
PATIENCE_SECONDS = 30.0
HEALTH_CHECK = "/grpc.health.v1.Health/Check"
HEALTH_WATCH = "/grpc.health.v1.Health/Watch"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
# A group that nobody knows, in a group, in a group: deeper than any parser goes. Then one whose end is missing.
DEEP = b"\x0b" * 20_000 + b"\x0c" * 20_000
# A field of 127 bytes, of which one is there.
MALFORMED = b"\x0a\x7f\x00"
# Two bytes each, and two hundred in memory.
MANY_EMPTY_MESSAGES = b"\x0a\x00" * MEBIBYTE


@functools.cache
def huge() -> bytes:
    """Returns 64 MiB: more than any contract of ours allows."""
    return bytes(64 * MEBIBYTE)


def methods_of(service: str) -> list[MethodDescriptor]:
    """Returns every method of a service."""
    contracts = CONTRACTS[service][0].DESCRIPTOR.services_by_name.values()
    return [method for contract in contracts for method in contract.methods]


def path_of(method: MethodDescriptor) -> str:
    """Returns "/package.Service/Method"."""
    return f"/{method.containing_service.full_name}/{method.name}"


def too_large(method: MethodDescriptor) -> bytes:
    """Returns one byte more than the contract gives a method."""
    return bytes(largest_request(path_of(method)) + 1)


def answer_of(channel: grpc.Channel, path: str, messages: Iterator[bytes], **options: Any) -> tuple[str, str]:
    """Makes one call to its end, of whatever shape, and returns the code and the reason."""
    method: Any = channel.stream_stream(path)
    call = method(messages, timeout=PATIENCE_SECONDS, **options)
    try:
        for _ in call:
            pass
    except grpc.RpcError as error:
        remote = from_rpc_error(error)
        return remote.code.name, remote.reason
    return "OK", ""
