"""What is done to nodes outside of deployments, over real gRPC: results per node, rights, locks, consoles that end."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy_deployer.adapters.console_commands import CommandConsole
from kadeploy_deployer.domain.snapshot import CommandSnapshot, NodeSnapshot
from kadeploy_deployer.domain.states import PartitionState
from kadeploy_deployer.ports import Console, NodeUnreachable, ResolvedNode
from kadeploy_edge.log_lines import LineFormatter
from kadeploy_edge.status import from_rpc_error, from_status
from tests.fakes.scripted_step import ScriptedStep
from tests.integration.deployer.conftest import Site

pytestmark = pytest.mark.integration

PATIENCE = 10.0
SOFT = deployer_service_pb2.CONTROL_LEVEL_SOFT


def reason(status: Any) -> str:
    return from_status(status).reason if status.code else ""


async def results(call: Any) -> dict[str, str]:
    """Returns the reason of each node's error, empty where it went well."""
    async with asyncio.timeout(PATIENCE):
        return {one.result.node: reason(one.result.status) async for one in call}


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        async with asyncio.timeout(PATIENCE):
            [one async for one in call]
    error = from_rpc_error(caught.value)
    return error.code, error.reason


async def deploy(site: Site) -> None:
    spec = deployment_pb2.DeploymentSpec(nodes="node[1-2]", environment_name="debian")
    created = await site.deployments("alice").CreateDeployment(deployer_service_pb2.CreateDeploymentRequest(spec=spec))
    await site.world.finished(created.id)


def cycle(nodes: str = "node[1-2]") -> deployer_service_pb2.SetPowerRequest:
    return deployer_service_pb2.SetPowerRequest(nodes=nodes, action=deployer_service_pb2.POWER_ACTION_CYCLE)


async def test_power_is_switched_and_asked_for(site: Site) -> None:
    site.power.broken = {"node2"}
    assert await results(site.control("alice").SetPower(cycle())) == {"node1": "", "node2": "POWER_FAILED"}
    assert site.power.did == [("node1", "very_hard")]
    answer = await site.control("alice").GetPower(deployer_service_pb2.GetPowerRequest(nodes="node[1-2]"))
    assert [(one.node, one.state, reason(one.status)) for one in answer.nodes] == [
        ("node1", deployer_service_pb2.POWER_STATE_ON, ""),
        ("node2", deployer_service_pb2.POWER_STATE_UNSPECIFIED, "POWER_FAILED"),
    ]


async def test_a_request_made_again_with_its_id_switches_nothing_twice(site: Site) -> None:
    request = cycle()
    request.request_id = "r-1"
    assert await results(site.control("alice").SetPower(request)) == {"node1": "", "node2": ""}
    assert await results(site.control("alice").SetPower(request)) == {"node1": "", "node2": ""}
    assert sorted(site.power.did) == [("node1", "very_hard"), ("node2", "very_hard")]
    # Another user's is his own, and another request needs another id.
    assert await results(site.control("root").SetPower(request)) == {"node1": "", "node2": ""}
    assert len(site.power.did) == 4
    invalid = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_CONTROL")
    request.nodes = "node1"
    assert await refusal(site.control("alice").SetPower(request)) == invalid
    request.request_id = "r" * 65
    too_long = (grpc.StatusCode.INVALID_ARGUMENT, "OUT_OF_BOUNDS")
    assert await refusal(site.control("alice").SetPower(request)) == too_long


@pytest.mark.parametrize("end", ["\n", "\r", "\u2028"])
async def test_a_node_set_forges_no_line_of_log_or_audit(
    site: Site, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    forged = 'time=2030-01-01 00:00:00,000 level=INFO logger=audit {"caller": "user:root", "method": "forged"}'
    request = cycle(f"x{end}{forged}{end}")
    request.request_id = "r-1"
    caplog.set_level(logging.INFO)
    assert await refusal(site.control("alice").SetPower(request)) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_NODE_SET",
    )
    lines = [LineFormatter().format(record) for record in caplog.records]
    assert any("an operation was refused" in line for line in lines)
    assert any("logger=audit" in line for line in lines)
    assert all(len(line.splitlines()) == 1 for line in lines)


async def test_a_request_that_cannot_be_stopped_is_told(site: Site) -> None:
    request = deployer_service_pb2.StopOperationRequest(request_id="nobody's")
    with pytest.raises(grpc.RpcError) as caught:
        await site.control("alice").StopOperation(request)
    assert from_rpc_error(caught.value).reason == "OPERATION_NOT_FOUND"


async def test_a_command_s_output_and_end_come_from_every_node(site: Site) -> None:
    site.shell.answer("uname", stdout="Linux\n", node="node1")
    site.shell.answer("uname", error=NodeUnreachable("node2 refused the connection"), node="node2")
    request = deployer_service_pb2.RunCommandRequest(nodes="node[1-2]", arguments=["uname"])
    async with asyncio.timeout(PATIENCE):
        answers = [one async for one in site.control("alice").RunCommand(request)]
    first = [one for one in answers if one.node == "node1"]
    assert (first[0].output, first[1].ended.exit_status, first[1].ended.status.code) == (b"Linux\n", 0, 0)
    (second,) = [one for one in answers if one.node == "node2"]
    assert reason(second.ended.status) == "NODE_UNREACHABLE"


async def test_a_partition_is_prepared_from_what_the_deployment_left_there(site: Site) -> None:
    target = deployer_service_pb2.PartitionReboot(device="vda", partition=3)
    request = deployer_service_pb2.RebootNodesRequest(nodes="node[1-2]", partition=target, prepare_only=True)
    assert await refusal(site.control("alice").RebootNodes(request)) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "NOTHING_DEPLOYED_THERE",
    )
    await deploy(site)
    assert await results(site.control("alice").RebootNodes(request)) == {"node1": "", "node2": ""}
    assert set(site.boot.entries) == {"node1", "node2"}
    by_environment = deployer_service_pb2.RebootNodesRequest(
        nodes="node1", environment=deployer_service_pb2.EnvironmentReboot(name="debian"), prepare_only=True
    )
    assert await results(site.control("bob").RebootNodes(by_environment)) == {"node1": ""}


async def test_a_partition_is_declared_by_administrators_and_boots_then(site: Site) -> None:
    request = deployer_service_pb2.DeclarePartitionsRequest(nodes="node[1-2,9]", environment_name="debian")
    request.host_keys.add(node="node1", keys=["ssh-ed25519 AAAA"])
    with pytest.raises(grpc.RpcError) as caught:
        await site.states.DeclarePartitions(request)
    assert from_rpc_error(caught.value).reason == "CALLER_NOT_ALLOWED"
    known = site.inventory.resolution
    unknown_node = ResolvedNode(name="node9", snapshot=None, allowed=False)
    site.inventory.resolution = replace(known, nodes=(*known.nodes, unknown_node))
    answer = await site.administrator.DeclarePartitions(request)
    site.inventory.resolution = known
    unknown = deployment_pb2.FAILURE_REASON_UNKNOWN_NODE
    assert [(one.node, one.device, one.partition, one.reason) for one in answer.nodes] == [
        ("node1", "vda", 3, 0),
        ("node2", "vda", 3, 0),
        ("node9", "", 0, unknown),
    ]
    rows = (await site.states.ListPartitionStates(deployer_service_pb2.ListPartitionStatesRequest())).partitions
    assert [(row.node, row.declared, row.deployment_id, row.owner, row.environment.name) for row in rows] == [
        ("node1", True, "", "root", "debian"),
        ("node2", True, "", "root", "debian"),
    ]
    target = deployer_service_pb2.PartitionReboot(device="vda", partition=3)
    reboot = deployer_service_pb2.RebootNodesRequest(nodes="node[1-2]", partition=target, prepare_only=True)
    assert await results(site.control("alice").RebootNodes(reboot)) == {"node1": "", "node2": ""}
    empty = deployer_service_pb2.DeclarePartitionsRequest(nodes="node[1-2]", empty=True)
    assert [one.reason for one in (await site.administrator.DeclarePartitions(empty)).nodes] == [0, 0]
    assert (await refusal(site.control("alice").RebootNodes(reboot)))[1] == "NOTHING_DEPLOYED_THERE"


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("environment_name", {}),
        ("empty", {"environment_name": "debian", "empty": True}),
        ("boot_method", {"environment_name": "debian", "boot_method": deployment_pb2.BOOT_METHOD_KEXEC}),
        ("kernel_arguments", {"environment_name": "debian", "kernel_arguments": "a\nb"}),
        ("device", {"environment_name": "debian", "device": "/dev/vda"}),
        ("device", {"environment_name": "debian", "partition": -1}),
        ("environment_version", {"environment_name": "debian", "environment_version": 0}),
        ("host_keys", {"environment_name": "debian", "host_keys": [{"node": "node1", "keys": ["command=x"]}]}),
    ],
)
async def test_a_declaration_that_makes_no_sense_names_its_field(
    site: Site, field: str, values: dict[str, Any]
) -> None:
    request = deployer_service_pb2.DeclarePartitionsRequest(nodes="node1", **values)
    with pytest.raises(grpc.RpcError) as caught:
        await site.administrator.DeclarePartitions(request)
    error = from_rpc_error(caught.value)
    assert (error.reason, [each.field for each in error.violations]) == ("INVALID_CONTROL", [field])


async def test_a_node_in_a_running_deployment_is_refused_and_free_afterwards(site: Site) -> None:
    gate = asyncio.Event()
    site.plan[1] = GatedStep("write", gate)
    spec = deployment_pb2.DeploymentSpec(nodes="node[1-2]", environment_name="debian")
    created = await site.deployments("alice").CreateDeployment(deployer_service_pb2.CreateDeploymentRequest(spec=spec))
    expected = dict.fromkeys(("node1", "node2"), "NODE_BUSY")
    assert await results(site.control("root").SetPower(cycle())) == expected
    run = deployer_service_pb2.RunCommandRequest(nodes="node1", arguments=["true"])
    async with asyncio.timeout(PATIENCE):
        (answer,) = [one async for one in site.control("alice").RunCommand(run)]
    assert reason(answer.ended.status) == "NODE_BUSY"
    assert created.id in answer.ended.status.message
    gate.set()
    await site.world.finished(created.id)
    assert await results(site.control("root").SetPower(cycle("node1"))) == {"node1": ""}


class GatedStep(ScriptedStep):
    """Waits until the test lets it go on."""

    def __init__(self, name: str, gate: asyncio.Event) -> None:
        super().__init__(name, PartitionState.DEPLOYING)
        self._gate = gate

    async def run(self, context: Any, nodes: Any) -> Any:
        await self._gate.wait()
        return dict.fromkeys(nodes)


async def test_without_a_right_nothing_is_done_and_an_administrator_needs_none(site: Site) -> None:
    site.world.inventory.rights = {}
    denied = (grpc.StatusCode.PERMISSION_DENIED, "RIGHT_MISSING")
    simple = deployer_service_pb2.RebootNodesRequest(nodes="node1", simple=deployer_service_pb2.SimpleReboot())
    run = deployer_service_pb2.RunCommandRequest(nodes="node1", arguments=["true"])
    assert await refusal(site.control("bob").SetPower(cycle())) == denied
    assert await refusal(site.control("bob").RebootNodes(simple)) == denied
    assert await refusal(site.control("bob").RunCommand(run)) == denied
    with pytest.raises(grpc.RpcError):
        await site.control("bob").GetPower(deployer_service_pb2.GetPowerRequest(nodes="node1"))
    assert await refusal(site.control("bob").AttachConsole(typing("node1"))) == denied
    assert (site.power.did, site.shell.ran) == ([], [])
    assert await results(site.control("root").SetPower(cycle())) == {"node1": "", "node2": ""}


@pytest.mark.parametrize(
    "request_",
    [
        deployer_service_pb2.RebootNodesRequest(nodes="node1"),
        deployer_service_pb2.SetPowerRequest(nodes="n"),
        deployer_service_pb2.RunCommandRequest(nodes="n", arguments=["true"], timeout=Duration(seconds=2**63 - 1)),
        deployer_service_pb2.RunCommandRequest(nodes="n", arguments=["true"], timeout=Duration(seconds=-1)),
    ],
)
async def test_a_request_that_says_too_little_or_too_much_is_invalid(site: Site, request_: Any) -> None:
    stream = getattr(site.control("alice"), type(request_).__name__.removesuffix("Request"))(request_)
    assert await refusal(stream) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_CONTROL")


# --- consoles ---


async def typing(node: str, *parts: bytes) -> AsyncIterator[deployer_service_pb2.AttachConsoleRequest]:
    """Names the node and types; then stays at the console until the call ends."""
    target = deployer_service_pb2.ConsoleTarget(node=node)
    yield deployer_service_pb2.AttachConsoleRequest(target=target)
    for part in parts:
        yield deployer_service_pb2.AttachConsoleRequest(input=part)
    await asyncio.Event().wait()


async def test_a_console_is_one_user_s_until_he_leaves_it(site: Site) -> None:
    call = site.control("alice").AttachConsole(typing("node1", b"ls\r"))
    shown = b""
    async with asyncio.timeout(PATIENCE):
        async for answer in call:
            shown += answer.output
            if b"ls\r" in shown:
                break
    assert shown == b"login: ls\r"
    in_use = (grpc.StatusCode.FAILED_PRECONDITION, "CONSOLE_IN_USE")
    assert await refusal(site.control("root").AttachConsole(typing("node1"))) == in_use
    assert await results(site.control("root").SetPower(cycle("node1"))) == {"node1": ""}
    call.cancel()
    async with asyncio.timeout(PATIENCE):
        while True:
            second = site.control("bob").AttachConsole(typing("node1", b"\x04"))
            try:
                assert [one.output async for one in second] == [b"login: "]
            except grpc.aio.AioRpcError:
                # The first one is on its way out.
                await asyncio.sleep(0.02)
            else:
                break


async def test_a_console_without_a_target_is_refused(site: Site) -> None:
    async def nothing() -> AsyncIterator[deployer_service_pb2.AttachConsoleRequest]:
        yield deployer_service_pb2.AttachConsoleRequest(input=b"x")

    invalid = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_CONTROL")
    assert await refusal(site.control("alice").AttachConsole(nothing())) == invalid


class NoisyConsole:
    """Real processes that print without end; `groups`: their process groups."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "groups"

    @property
    def groups(self) -> list[int]:
        return [int(line) for line in self._file.read_text().split()] if self._file.exists() else []

    async def attach(self, node: NodeSnapshot) -> Any:
        script = f"echo $$ >>{self._file}; sleep 1000 & while :; do echo noise; done"
        noisy = CommandSnapshot(console=("sh", "-c", script.replace("{", "").replace("}", "")))
        return await CommandConsole().attach(NodeSnapshot(**{**_fields(node), "commands": noisy}))


def _fields(node: NodeSnapshot) -> dict[str, Any]:
    return {name: getattr(node, name) for name in node.__slots__}


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


class TestNoise:
    @pytest.fixture
    def console(self, tmp_path: Path) -> Console:
        return NoisyConsole(tmp_path)

    async def test_a_caller_who_vanishes_in_the_middle_of_the_noise_leaves_no_process_behind(
        self, site: Site, console: NoisyConsole
    ) -> None:
        call = site.control("alice").AttachConsole(typing("node1"))
        async with asyncio.timeout(PATIENCE):
            assert b"noise" in (await anext(aiter(call))).output
            # Nobody reads on, so the answers pile up as far as they may; then the caller is gone.
            await asyncio.sleep(0.3)
            (group,) = console.groups
            assert alive(group)
            call.cancel()
            while alive(group):  # noqa: ASYNC110 - the kernel sets no event
                await asyncio.sleep(0.02)


def said(**changes: Any) -> str:
    machine = {
        "node": "",
        "boot_id": "b",
        "uuid": "u-1",
        "vendor": "QEMU",
        "product": "pc",
        "serial": "",
        "console": "",
        "firmware": "uefi",
        "memory_bytes": 1 << 30,
        "processors": 2,
        "sockets": 1,
        "processor_model": "m",
        "controller_address": "",
        "cards": [
            {"name": "eth0", "mac_address": "52:54:00:00:00:99", "driver": "igb", "path": "p", "is_boot_card": True}
        ],
        "disks": [{"name": "sda", "size_bytes": 4 << 30, "serial": "S1", "wwn": "", "links": []}],
    }
    return json.dumps({**machine, **changes})


async def test_nodes_are_inspected_and_compared_with_the_inventory(site: Site) -> None:
    site.shell.answer("kadeploy-hardware", "machine", stdout=said())
    site.shell.unreachable = {"node2"}
    request = deployer_service_pb2.InspectNodesRequest(nodes="node[1-2]")
    answer = await site.control("alice").InspectNodes(request)
    first, second = answer.nodes
    assert [reason(one.status) for one in (first, second)] == ["", "NODE_UNREACHABLE"]
    assert (first.machine.uuid, first.machine.disks[0].serial) == ("u-1", "S1")
    assert "its firmware is uefi, and the inventory says bios" in first.differences
    assert second.status.message.startswith("node2 does not run the deployment environment: ")
    hosts = {ran.host.host_keys for ran in site.shell.ran}
    assert all(hosts)


async def test_inspecting_takes_a_right(site: Site) -> None:
    site.world.inventory.rights = {}
    with pytest.raises(grpc.RpcError) as caught:
        await site.control("bob").InspectNodes(deployer_service_pb2.InspectNodesRequest(nodes="node1"))
    assert from_rpc_error(caught.value).reason == "RIGHT_MISSING"


async def test_machines_of_a_network_are_found_by_their_host_key_alone(site: Site) -> None:
    site.shell.answer("kadeploy-hardware", error=NodeUnreachable("nobody"))
    site.shell.answer("kadeploy-hardware", node="192.0.2.6", stdout=said())
    request = deployer_service_pb2.DiscoverMachinesRequest(network="192.0.2.0/29")
    answer = await site.control("root").DiscoverMachines(request)
    assert [machine.address for machine in answer.machines] == ["192.0.2.6"]
    asked = {ran.node: ran for ran in site.shell.ran}
    assert sorted(asked) == [f"192.0.2.{number}" for number in range(1, 7)]
    assert all(ran.host.host_keys and ran.host.address == ran.node for ran in asked.values())
    assert set(site.shell.forgotten) == set(asked)


@pytest.mark.parametrize("network", ["", "10.0.0.0/8", "10.0.0.1/24", "::/64", "node-1"])
async def test_what_is_no_small_network_is_refused(site: Site, network: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        await site.control("root").DiscoverMachines(deployer_service_pb2.DiscoverMachinesRequest(network=network))
    assert from_rpc_error(caught.value).reason == "INVALID_CONTROL"
    assert site.shell.ran == []


async def test_only_administrators_look_for_machines(site: Site) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        await site.control("alice").DiscoverMachines(
            deployer_service_pb2.DiscoverMachinesRequest(network="192.0.2.0/30")
        )
    assert from_rpc_error(caught.value).code is grpc.StatusCode.PERMISSION_DENIED
