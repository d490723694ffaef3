"""Generates the Python stubs, and beside a checkout the descriptor set that the contract checks read.

The directory is the package: `protos/kadeploy/inventory/v1/node.proto` becomes the module
`kadeploy.inventory.v1.node_pb2` beside it, so no import is ever rewritten. Run by `make proto`, and with `--output`
while the wheel of the contracts is built.
"""

import argparse
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


def stub_options(directory: Path) -> list[str]:
    """Returns protoc's options for stubs and their types in a directory."""
    outputs = [f"--{kind}_out={directory}" for kind in ("python", "grpc_python")]
    return outputs + [f"--{kind}_out=quiet:{directory}" for kind in ("mypy", "mypy_grpc")]


def descriptor_options() -> list[str]:
    """Returns protoc's options for the descriptor set of the checkout."""
    DESCRIPTORS.parent.mkdir(parents=True, exist_ok=True)
    return ["--include_imports", "--include_source_info", f"--descriptor_set_out={DESCRIPTORS}"]


def main() -> int:
    """Runs protoc over every contract and returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="stubs alone, into DIR; default: beside the contracts"
    )
    directory: Path | None = parser.parse_args().output
    outputs = stub_options(directory) if directory else [*stub_options(ROOT), *descriptor_options()]
    sources = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.proto"))
    status: int = protoc.main(["protoc", *(f"-I{path}" for path in include_paths()), *outputs, *sources])
    return status


if __name__ == "__main__":
    sys.exit(main())
