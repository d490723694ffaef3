"""The bounds of requests: the field that holds too much is named, and checking costs little."""

import time

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from kadeploy.bootctl.v1 import boot_entry_pb2, bootctl_service_pb2
from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy.inventory.v1 import cluster_pb2, command_template_pb2, environment_pb2, inventory_service_pb2, node_pb2
from kadeploy_edge import bounds
from kadeploy_edge.bounds import MOST_VIOLATIONS, OutOfBounds
from kadeploy_nodeset import MAXIMUM_TEXT


def creating(**spec: object) -> deployer_service_pb2.CreateDeploymentRequest:
    return deployer_service_pb2.CreateDeploymentRequest(spec=deployment_pb2.DeploymentSpec(**spec))  # type: ignore[arg-type]


def listing(
    states: "list[deployment_pb2.DeploymentState.ValueType]",
) -> deployer_service_pb2.ListDeploymentsRequest:
    return deployer_service_pb2.ListDeploymentsRequest(filter=deployer_service_pb2.DeploymentFilter(states=states))


def setting(target: boot_entry_pb2.BootTarget) -> bootctl_service_pb2.SetBootEntriesRequest:
    entry = boot_entry_pb2.BootEntry(node=boot_entry_pb2.BootNode(name="n1"), target=target)
    return bootctl_service_pb2.SetBootEntriesRequest(entries=[entry, entry])


def recording(**environment: object) -> inventory_service_pb2.RecordEnvironmentRequest:
    described = environment_pb2.Environment(**environment)  # type: ignore[arg-type]
    return inventory_service_pb2.RecordEnvironmentRequest(environment=described)


def registering(node: node_pb2.Node) -> inventory_service_pb2.RegisterNodesRequest:
    return inventory_service_pb2.RegisterNodesRequest(nodes=[node_pb2.Node(name="n1"), node])


COMMANDS = command_template_pb2.CommandTemplates(
    console=command_template_pb2.CommandTemplate(arguments=["ssh", "x" * 4097])
)
CUSTOM = boot_entry_pb2.CustomTarget(text="x\n" * 40_000)
MODULES = boot_entry_pb2.MultibootTarget(modules=[boot_entry_pb2.MultibootModule()] * 17)

TOO_MUCH: list[tuple[Message, str, str]] = [
    (creating(nodes="n" * (MAXIMUM_TEXT + 1)), "spec.nodes", "has 1048577 bytes; at most 1048576 are accepted"),
    (creating(authorized_keys=["k", "k" * 8193]), "spec.authorized_keys[1]", "has 8193 bytes; at most 8192"),
    (creating(authorized_keys=["k"] * 257), "spec.authorized_keys", "has 257 elements; at most 256 are accepted"),
    (creating(kernel_arguments="é" * 2049), "spec.kernel_arguments", "has 4098 bytes; at most 4096 are accepted"),
    (deployer_service_pb2.CreateDeploymentRequest(request_id="r" * 65), "request_id", "has 65 bytes; at most 64"),
    (deployer_service_pb2.CancelDeploymentRequest(reason="x" * 1025), "reason", "has 1025 bytes; at most 1024"),
    (listing([deployment_pb2.DEPLOYMENT_STATE_WAITING] * 17), "filter.states", "has 17 elements"),
    (deployer_service_pb2.RunCommandRequest(input=b"x" * 1048577), "input", "has 1048577 bytes"),
    (deployer_service_pb2.AttachConsoleRequest(input=b"x" * 65537), "input", "has 65537 bytes"),
    (setting(boot_entry_pb2.BootTarget(custom=CUSTOM)), "entries[0].target.custom.text", "has 80000"),
    (setting(boot_entry_pb2.BootTarget(multiboot=MODULES)), "entries[0].target.multiboot.modules", "has 17 elements"),
    (bootctl_service_pb2.SetBootEntriesRequest(entries=[boot_entry_pb2.BootEntry()] * 10_001), "entries", "has 10001"),
    (bootctl_service_pb2.UploadBootFileRequest(content=b"x" * 1048577), "content", "has 1048577 bytes"),
    (inventory_service_pb2.RegisterNodesRequest(nodes=[node_pb2.Node()] * 10_001), "nodes", "has 10001 elements"),
    (registering(node_pb2.Node(name="n" * 256)), "nodes[1].name", "has 256 bytes; at most 255 are accepted"),
    (registering(node_pb2.Node(commands=COMMANDS)), "nodes[1].commands.console.arguments[1]", "has 4097 bytes"),
    (registering(node_pb2.Node(labels={"a": "", "b": "x" * 4097})), "nodes[1].labels['b']", "has 4097 bytes"),
    (registering(node_pb2.Node(labels={"k" * 5000: ""})), f"nodes[1].labels['{'k' * 20}']", "has 5000 bytes"),
    (registering(node_pb2.Node(labels={str(n): "" for n in range(257)})), "nodes[1].labels", "has 257 elements"),
    (registering(node_pb2.Node(disks=[{"partitions": [{}] * 129}])), "nodes[1].disks[0].partitions", "has 129"),  # type: ignore[list-item]
    (recording(postinstalls=[environment_pb2.ScriptArchive()] * 17), "environment.postinstalls", "has 17 elements"),
    (recording(image=environment_pb2.Image(uri="http://x/" + "y" * 1024)), "environment.image.uri", "has 1033 bytes"),
    (
        inventory_service_pb2.UpdateClusterRequest(
            cluster=cluster_pb2.Cluster(name="c"), update_mask=FieldMask(paths=["p"] * 65)
        ),
        "update_mask.paths",
        "has 65 elements",
    ),
    (
        inventory_service_pb2.UpdateNodeRequest(update_mask=FieldMask(paths=["name", "p" * 256])),
        "update_mask.paths[1]",
        "has 256 bytes",
    ),
]


@pytest.mark.parametrize(("request_", "field", "description"), TOO_MUCH, ids=[field for _, field, _ in TOO_MUCH])
def test_the_field_that_holds_too_much_is_named(request_: Message, field: str, description: str) -> None:
    with pytest.raises(OutOfBounds) as refusal:
        bounds.check(request_)
    first = refusal.value.violations[0]
    assert first.field == field
    assert first.description.startswith(description)
    assert len(refusal.value.message) < 300
    assert refusal.value.message.isprintable()


def test_every_field_that_holds_too_much_is_named_up_to_ten() -> None:
    two = creating(environment_name="e" * 256, kernel_arguments="k" * 5000)
    with pytest.raises(OutOfBounds) as refusal:
        bounds.check(two)
    assert [each.field for each in refusal.value.violations] == ["spec.environment_name", "spec.kernel_arguments"]
    many = inventory_service_pb2.RegisterNodesRequest(nodes=[node_pb2.Node(name="n" * 256)] * 10_000)
    with pytest.raises(OutOfBounds) as refusal:
        bounds.check(many)
    assert len(refusal.value.violations) == MOST_VIOLATIONS


def site(nodes: int) -> inventory_service_pb2.RegisterNodesRequest:
    partitions = [node_pb2.Partition(number=number, size_bytes=20 << 30, type_id=0x83) for number in (1, 2, 3)]
    disk = node_pb2.Disk(device="sda", size_bytes=80 << 30, partition_table=1, partitions=partitions)  # type: ignore[arg-type]
    return inventory_service_pb2.RegisterNodesRequest(
        nodes=[
            node_pb2.Node(name=f"node-{n}", mac_address="02:00:00:00:00:01", ip_address="10.0.0.1", disks=[disk])
            for n in range(nodes)
        ]
    )


@pytest.mark.parametrize(
    "request_",
    [
        creating(
            nodes=",".join(f"n{n}" for n in range(100_000)),
            authorized_keys=["k" * 8192] * 256,
            kernel_arguments="k" * 4096,
            environment_name="e" * 255,
        ),
        bootctl_service_pb2.SetBootEntriesRequest(
            entries=[boot_entry_pb2.BootEntry(target={"label": {"label": "deploy", "arguments": "x" * 2047}})] * 10_000  # type: ignore[arg-type]
        ),
        recording(description="é" * 2048, postinstalls=[environment_pb2.ScriptArchive(uri="u" * 1024)] * 16),
        inventory_service_pb2.GrantRightsRequest(users=["alice"] * 10_000, nodes="*", partitions=["sda3"] * 1000),
        inventory_service_pb2.ListNodesRequest(),
    ],
    ids=["deployment", "boot entries", "environment", "rights", "nothing"],
)
def test_large_requests_of_a_large_site_are_accepted(request_: Message) -> None:
    bounds.check(request_)


def test_checking_the_description_of_10000_nodes_costs_little() -> None:
    request = site(10_000)
    bounds.check(request)
    begin = time.thread_time()
    bounds.check(request)
    # Registering them takes about a second.
    assert time.thread_time() - begin < 0.05
