"""The contracts against those of the last release, and the reference that is made from them."""

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from tests.contract.described import DESCRIPTORS

PROTOS = Path(__file__).resolve().parents[2] / "protos"
RELEASED = PROTOS / "released.binpb"
BUF = Path(sys.executable).parent / "buf"


def breaking(candidate: Path) -> "subprocess.CompletedProcess[str]":
    command = [str(BUF), "breaking", str(candidate), "--against", str(RELEASED), "--config", str(PROTOS / "buf.yaml")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_what_the_last_release_promised_is_there() -> None:
    done = breaking(DESCRIPTORS)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("lost", ["field", "RPC"])
def test_what_goes_away_is_found(tmp_path: Path, lost: str) -> None:
    described = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())
    for file in described.file:
        file.ClearField("source_code_info")
    spoiled = next(file for file in described.file if file.name.endswith("deployer_service.proto"))
    if lost == "field":
        next(one for one in spoiled.message_type if one.name == "CreateDeploymentRequest").field.pop(0)
    else:
        spoiled.service[0].method.pop(0)
    candidate = tmp_path / "spoiled.binpb"
    candidate.write_bytes(described.SerializeToString())
    done = breaking(candidate)
    assert done.returncode != 0
    assert lost in done.stdout


def test_the_reference_of_the_api_is_that_of_the_contracts(tmp_path: Path) -> None:
    program, page = PROTOS / "reference.py", PROTOS.parent / "docs" / "api.md"
    check = [sys.executable, str(program), "--check"]
    assert subprocess.run([*check, str(page)], timeout=60, check=False).returncode == 0, "run: make docs"
    stale = tmp_path / "api.md"
    stale.write_text(page.read_text() + "more\n")
    assert subprocess.run([*check, str(stale)], timeout=60, check=False).returncode == 1
