"""No request, however strange, ends in a fault of the server or in half a change."""

from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sqlalchemy import Engine, select

from kadeploy.inventory.v1 import cluster_pb2, inventory_service_pb2
from kadeploy_inventory.store import schema
from kadeploy_rpckit.status import from_rpc_error
from tests.integration.inventory.conftest import Site, serving
from tests.integration.inventory.fuzz import mutate
from tests.integration.inventory.requests import a_node, an_environment, recording, registering

pytestmark = pytest.mark.integration

EXAMPLES = 150
SERVICES = inventory_service_pb2.DESCRIPTOR.services_by_name
METHODS = [method for service in SERVICES.values() for method in service.methods]
STUBS = {
    "NodeService": "nodes",
    "ClusterService": "clusters",
    "EnvironmentService": "environments",
    "RightService": "rights",
    "ResolutionService": "resolution",
}
READING = ("Get", "List", "Check", "Resolve")
# What a caller can be told. Not among them: INTERNAL and UNKNOWN (our faults), UNAVAILABLE (the database is there).
ANSWERS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
WELL_FORMED: dict[str, Callable[[], Message]] = {
    "RegisterNodes": lambda: registering(a_node(1), a_node(7)),
    "UpdateNode": lambda: inventory_service_pb2.UpdateNodeRequest(
        node=a_node(1), update_mask=FieldMask(paths=["disks", "labels"])
    ),
    "DeleteNodes": lambda: inventory_service_pb2.DeleteNodesRequest(nodes="node-[1-9]"),
    "CreateCluster": lambda: inventory_service_pb2.CreateClusterRequest(cluster=cluster_pb2.Cluster(name="new")),
    "UpdateCluster": lambda: inventory_service_pb2.UpdateClusterRequest(
        cluster=cluster_pb2.Cluster(name="big"), update_mask=FieldMask(paths=["profile"])
    ),
    "RecordEnvironment": lambda: recording(an_environment("ubuntu")),
    "UpdateEnvironment": lambda: inventory_service_pb2.UpdateEnvironmentRequest(
        environment=an_environment(), update_mask=FieldMask(paths=["image"])
    ),
    "GrantRights": lambda: inventory_service_pb2.GrantRightsRequest(
        users=["alice"], nodes="node-[1-2]", partitions=["sda3"]
    ),
    "RevokeRights": lambda: inventory_service_pb2.RevokeRightsRequest(users=["bob"], nodes="*", partitions=["*"]),
}


@pytest.fixture
def furnished(engines: dict[str, Engine], tmp_path: Path) -> Iterator[Site]:
    """A site with a little of everything, on each engine."""
    with serving(engines, tmp_path) as site:
        site.root.clusters.CreateCluster(
            inventory_service_pb2.CreateClusterRequest(cluster=cluster_pb2.Cluster(name="big"))
        )
        site.root.nodes.RegisterNodes(registering(a_node(1), a_node(2, cluster="big")))
        site.root.environments.RecordEnvironment(recording(an_environment()))
        for user in ("alice", "bob"):
            site.root.rights.GrantRights(
                inventory_service_pb2.GrantRightsRequest(users=[user], nodes="*", partitions=["*"])
            )
        yield site


def everything(site: Site) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, engine in site.engines.items():
        with engine.connect() as connection:
            for table in schema.METADATA[name].sorted_tables:
                found += [(table.name, repr(row)) for row in connection.execute(select(table))]
    return sorted(found)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=some.data())
def test_every_request_is_answered_by_a_word_of_the_contract_and_a_refused_one_changes_nothing(
    furnished: Site, data: some.DataObject
) -> None:
    method = data.draw(some.sampled_from(METHODS))
    make = WELL_FORMED.get(method.name, GetMessageClass(method.input_type))
    request = make()
    for _ in range(data.draw(some.integers(1, 3))):
        mutate(data.draw, request)
    call = getattr(getattr(furnished.root, STUBS[method.containing_service.name]), method.name)
    before = everything(furnished)
    refusal = None
    try:
        call(request, timeout=30)
    except grpc.RpcError as error:
        refusal = from_rpc_error(error)
    if refusal is not None:
        assert refusal.code in ANSWERS, (method.name, refusal, request)
        assert refusal.violations or refusal.code is not grpc.StatusCode.INVALID_ARGUMENT, (method.name, request)
    if refusal is not None or method.name.startswith(READING) or getattr(request, "validate_only", False):
        assert everything(furnished) == before
