"""The contracts with their comments, from the descriptor set that `make proto` writes beside the stubs."""

from functools import cache
from pathlib import Path

from google.protobuf import descriptor_pb2

DESCRIPTORS = Path(__file__).resolve().parents[2] / "build" / "protos" / "descriptors.binpb"


@cache
def _files() -> dict[str, descriptor_pb2.FileDescriptorProto]:
    described = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())
    return {file.name: file for file in described.file}


def call_names() -> frozenset[str]:
    """Returns the names of all calls of the contracts."""
    services = [service for file in _files().values() for service in file.service]
    return frozenset(method.name for service in services for method in service.method)


def source_info(name: str) -> descriptor_pb2.SourceCodeInfo:
    """Returns the comments and places of one contract file."""
    return _files()[name].source_code_info
