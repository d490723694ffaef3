"""What a record tells of a request: nodes and names, never secrets, never more than its bounds."""

import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from kadeploy.bootctl.v1 import boot_entry_pb2, bootctl_service_pb2
from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy.inventory.v1 import inventory_service_pb2, node_pb2
from kadeploy_edge.audit import (
    LONGEST_NODES,
    MOST_NAMES_REFUSED,
    MOST_SUBJECTS,
    AuditLog,
    UnusableAuditLog,
    nodes_of,
    subjects_of,
)

CONTRACTS = (inventory_service_pb2, deployer_service_pb2, bootctl_service_pb2)
SECRET = "ssh-ed25519 AAAA"


@pytest.mark.parametrize(
    ("request_", "nodes"),
    [
        (deployer_service_pb2.RebootNodesRequest(nodes="node-[1-16,20]"), "node-[1-16,20]"),
        (deployer_service_pb2.GetStepOutputRequest(id="d", node="node-1"), "node-1"),
        (
            deployer_service_pb2.CreateDeploymentRequest(spec=deployment_pb2.DeploymentSpec(nodes="node-[1-2]")),
            "node-[1-2]",
        ),
        (
            inventory_service_pb2.RegisterNodesRequest(nodes=[node_pb2.Node(name=f"node-{n}") for n in range(1, 5)]),
            "node-[1-4]",
        ),
        (
            bootctl_service_pb2.SetBootEntriesRequest(
                entries=[
                    boot_entry_pb2.BootEntry(node=boot_entry_pb2.BootNode(name=name)) for name in ("a1", "a2", "a2")
                ]
            ),
            "a[1-2]",
        ),
        (
            # Not a name: it is told as it is, and never expanded.
            inventory_service_pb2.RegisterNodesRequest(nodes=[node_pb2.Node(name="node[1-999999999]")] * 2),
            "node[1-999999999]",
        ),
        (bootctl_service_pb2.ListLabelsRequest(), ""),
        (None, ""),
    ],
)  # fmt: skip
def test_the_nodes_of_a_request_are_found_where_they_stand(request_: Message | None, nodes: str) -> None:
    assert nodes_of(request_) == nodes


def test_a_record_is_bounded_whatever_the_request_holds() -> None:
    names = [node_pb2.Node(name=f"x{number * 7919 % 1000003}z") for number in range(20_000)]
    request = inventory_service_pb2.RegisterNodesRequest(nodes=names)
    assert len(nodes_of(request)) <= LONGEST_NODES + 1
    grants = inventory_service_pb2.GrantRightsRequest(users=["u" * 1000] * 1000, nodes="n" * 100_000)
    assert len(json.dumps(subjects_of(grants))) < 1000
    assert len(nodes_of(grants)) <= LONGEST_NODES + 1


@pytest.mark.parametrize(
    "request_",
    [
        inventory_service_pb2.RegisterNodesRequest(
            nodes=[node_pb2.Node(name=f"a{n % 59}-b{n % 53}-c{n % 47}") for n in range(200_000)]
        ),
        inventory_service_pb2.RegisterNodesRequest(nodes=[node_pb2.Node()] * 2_000_000),
        inventory_service_pb2.RegisterNodesRequest(nodes=[node_pb2.Node(name="no name" * 10_000)] * 300),
        bootctl_service_pb2.SetBootEntriesRequest(
            entries=[
                boot_entry_pb2.BootEntry(
                    target=boot_entry_pb2.BootTarget(
                        multiboot=boot_entry_pb2.MultibootTarget(modules=[boot_entry_pb2.MultibootModule()] * 1000)
                    )
                )
            ]
            * 1000
        ),
        inventory_service_pb2.GrantRightsRequest(users=["u" * 100_000] * 100, nodes="[" * 1_000_000),
    ],
    ids=["names of three numbers", "no names", "what is no name", "nested lists", "long texts"],
)
def test_the_record_of_a_refused_call_costs_next_to_nothing_whatever_it_holds(request_: Message) -> None:
    begin = time.thread_time()
    nodes, subjects = nodes_of(request_, most=MOST_NAMES_REFUSED), subjects_of(request_)
    assert time.thread_time() - begin < 0.05
    assert len(nodes) <= LONGEST_NODES + 1
    assert len(json.dumps(subjects)) < 1000


def test_a_record_says_that_more_nodes_were_named_than_it_names() -> None:
    request = inventory_service_pb2.RegisterNodesRequest(nodes=[node_pb2.Node(name=f"n{n}") for n in range(1, 200)])
    assert nodes_of(request, most=100) == "n[1-100],…"
    assert nodes_of(request) == "n[1-199]"


def filled(message: Message, depth: int = 0) -> Message:
    """Sets every field of a message, texts to a secret."""
    for field in message.DESCRIPTOR.fields:
        target: Any = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            if depth < 6:
                filled(target.add() if field.is_repeated else target, depth + 1)
            continue
        value: Any = {
            FieldDescriptor.TYPE_STRING: SECRET,
            FieldDescriptor.TYPE_BYTES: SECRET.encode(),
            FieldDescriptor.TYPE_BOOL: True,
        }.get(field.type, 1)
        if field.is_repeated:
            target.append(value)
        else:
            setattr(message, field.name, value)
    return message


@pytest.mark.parametrize(
    "method",
    [
        method
        for contract in CONTRACTS
        for service in contract.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ],
    ids=lambda method: method.full_name,
)
def test_every_request_of_the_contracts_can_be_told(method: Any) -> None:
    request = filled(GetMessageClass(method.input_type)())
    json.dumps({"nodes": nodes_of(request), "about": subjects_of(request)})
    assert len(subjects_of(request)) <= MOST_SUBJECTS


def test_keys_commands_and_texts_are_not_told() -> None:
    spec = deployment_pb2.DeploymentSpec(
        nodes="n1", environment_name="debian", authorized_keys=[SECRET], kernel_arguments=SECRET
    )
    requests = [
        deployer_service_pb2.CreateDeploymentRequest(spec=spec),
        filled(bootctl_service_pb2.UploadBootFileRequest(content=SECRET.encode())),
    ]
    assert subjects_of(requests[0]) == {"spec.environment_name": "debian"}
    assert "content" not in subjects_of(requests[1])


def test_a_file_gets_one_line_for_each_record_and_may_be_rotated(tmp_path: Path) -> None:
    path = tmp_path / "audit.json"
    log = AuditLog("bootctl", path)
    log.write({"outcome": "OK"})
    path.rename(tmp_path / "audit.json.1")
    log.write({"outcome": "a\nb"})
    line = json.loads(path.read_text())
    assert (line["service"], line["outcome"]) == ("bootctl", "a\nb")
    assert path.read_text().count("\n") == 1
    assert path.stat().st_mode & 0o007 == 0


def test_a_record_that_the_file_cannot_take_is_kept_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    log = AuditLog("bootctl", directory / "audit.json")
    (directory / "audit.json").unlink()
    directory.rmdir()
    with caplog.at_level(logging.INFO, logger="audit"):
        log.write({"outcome": "OK"})
    assert "cannot be written" in caplog.text
    assert '"outcome": "OK"' in caplog.text


def test_a_file_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(UnusableAuditLog, match="cannot be written"):
        AuditLog("bootctl", tmp_path / "absent" / "audit.json")
