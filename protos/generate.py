"""Generates the Python stubs and the descriptor set that the contract checks read.

The directory is the package: `protos/kadeploy/inventory/v1/node.proto` becomes the module
`kadeploy.inventory.v1.node_pb2` beside it, so no import is ever rewritten. Run by `make proto`.
"""

import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent
DESCRIPTORS = ROOT.parent / "build" / "protos" / "descriptors.binpb"


def include_paths() -> list[str]:
    """Returns the import roots: ours, Google's well-known types and google.rpc."""
    well_known = files("grpc_tools") / "_proto"
    site_packages = files("google.rpc") / ".." / ".."
    return [str(ROOT), str(well_known), str(Path(str(site_packages)).resolve())]


def main() -> int:
    """Runs protoc over every contract and returns its exit status."""
    sources = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.proto"))
    includes = [f"-I{path}" for path in include_paths()]
    outputs = [f"--{kind}_out={ROOT}" for kind in ("python", "grpc_python")]
    outputs += [f"--{kind}_out=quiet:{ROOT}" for kind in ("mypy", "mypy_grpc")]
    DESCRIPTORS.parent.mkdir(parents=True, exist_ok=True)
    described = [
        "--include_imports",
        "--include_source_info",
        f"--descriptor_set_out={DESCRIPTORS}",
    ]
    status: int = protoc.main(["protoc", *includes, *outputs, *described, *sources])
    return status


if __name__ == "__main__":
    sys.exit(main())
