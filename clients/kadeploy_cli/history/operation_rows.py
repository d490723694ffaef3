"""The rows of reboots and power changes: what became of each node, as in those of deployments."""

from collections.abc import Iterator
from datetime import datetime

from kadeploy.deployer.v1 import deployer_service_pb2, operation_pb2
from kadeploy_cli.connection.connect import Deployer
from kadeploy_cli.history.node_rows import NodeRow
from kadeploy_cli.terminal import output

MOST_OPERATIONS = 2000
"""So many operations are looked at; each is one call."""
KINDS = {"reboot": operation_pb2.OPERATION_KIND_REBOOT, "power": operation_pb2.OPERATION_KIND_POWER}
_ENDED = (operation_pb2.OPERATION_NODE_STATE_DONE, operation_pb2.OPERATION_NODE_STATE_ERROR)


def fetch(
    deployer: Deployer, *, kind: str, nodes: str, start: datetime | None, end: datetime | None, operation_id: str = ""
) -> list[NodeRow]:
    """Returns the rows of the operations of a kind that were begun in an interval, the latest first."""
    found = _operations(deployer, kind, nodes=nodes, start=start, end=end, operation_id=operation_id)
    return [row for operation in found for row in _rows_of(operation)]


def _operations(
    deployer: Deployer, kind: str, *, nodes: str, start: datetime | None, end: datetime | None, operation_id: str
) -> Iterator[operation_pb2.Operation]:
    def whole(name: str) -> operation_pb2.Operation:
        return deployer.call(deployer.control.GetOperation, deployer_service_pb2.GetOperationRequest(id=name))

    if operation_id:
        yield whole(operation_id)
        return
    chosen = deployer_service_pb2.OperationFilter(kinds=[KINDS[kind]], nodes=nodes)
    request = deployer_service_pb2.ListOperationsRequest(filter=chosen)
    count = 0
    for row in deployer.pages(deployer.control.ListOperations, request, lambda page: page.operations):
        created = row.create_time.seconds
        if start is not None and created < start.timestamp():
            return
        if end is not None and created >= end.timestamp():
            continue
        if count == MOST_OPERATIONS:
            output.say(f"only the latest {MOST_OPERATIONS} operations are looked at; -x and -y choose others")
            return
        count += 1
        yield whole(row.id)


def _rows_of(operation: operation_pb2.Operation) -> Iterator[NodeRow]:
    for node in operation.node_states:
        # A node that nothing was begun on was left out.
        if node.state not in _ENDED or not node.HasField("start_time"):
            continue
        spent = (node.end_time.ToNanoseconds() - node.start_time.ToNanoseconds()) / 1e9
        yield NodeRow(
            deployment_id=operation.id,
            user=operation.owner,
            node=node.node,
            start=node.start_time.seconds,
            seconds={0: max(0.0, spent)},
            retries={},
            environment="",
            digest="",
            succeeded=node.state == operation_pb2.OPERATION_NODE_STATE_DONE,
            error=node.description,
            by_kexec=False,
            from_production=False,
        )
