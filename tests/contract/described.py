"""The contracts with their comments, from the descriptor set that `make proto` writes beside the stubs."""

from functools import cache
from pathlib import Path

from google.protobuf import descriptor_pb2

DESCRIPTORS = Path(__file__).resolve().parents[2] / "build" / "protos" / "descriptors.binpb"


@cache
def _files() -> dict[str, descriptor_pb2.FileDescriptorProto]:
    described = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())
    return {file.name: file for file in described.file}


def source_info(name: str) -> descriptor_pb2.SourceCodeInfo:
    """Returns the comments and places of one contract file."""
    return _files()[name].source_code_info
