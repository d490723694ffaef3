"""An inventory in memory behind the real contract: for tests of whoever calls the inventory over gRPC."""

from collections.abc import Callable, Sequence
from typing import Any

import grpc
from google.rpc import status_pb2

from kadeploy.inventory.v1 import (
    cluster_pb2,
    environment_pb2,
    inventory_service_pb2,
    inventory_service_pb2_grpc,
    node_pb2,
    right_pb2,
)
from kadeploy_edge import page_token
from kadeploy_edge.caller import current_caller
from kadeploy_edge.errors import Denied, DomainError, Exists, FieldViolation, Invalid, Missing
from kadeploy_edge.status import ok_status, to_status
from kadeploy_nodeset import expand

SERVICES = tuple(
    f"kadeploy.inventory.v1.{name}" for name in ("NodeService", "ClusterService", "EnvironmentService", "RightService")
)


class NodeNotFound(Missing):
    reason = "NODE_NOT_FOUND"


class NodeExists(Exists):
    reason = "NODE_EXISTS"


class InvalidNode(Invalid):
    reason = "INVALID_NODE"


class ClusterNotFound(Missing):
    reason = "CLUSTER_NOT_FOUND"


class ClusterExists(Exists):
    reason = "CLUSTER_EXISTS"


class EnvironmentNotFound(Missing):
    reason = "ENVIRONMENT_NOT_FOUND"


class EnvironmentExists(Exists):
    reason = "ENVIRONMENT_EXISTS"


class NotAdministrator(Denied):
    reason = "CALLER_NOT_ALLOWED"


def paged(rows: Sequence[Any], key: Callable[[Any], str], request: Any, binding: str) -> tuple[list[Any], str]:
    """Returns one page of rows in the order they stand, and the token of the next."""
    after = page_token.decode(request.page_token, binding=binding)
    names = [key(row) for row in rows]
    start = names.index(str(after[0])) + 1 if after else 0
    page = list(rows[start : start + page_token.page_size(request.page_size)])
    more = start + len(page) < len(rows)
    return page, page_token.encode([key(page[-1])], binding=binding) if more else ""


class InventoryServices(
    inventory_service_pb2_grpc.NodeServiceServicer,
    inventory_service_pb2_grpc.ClusterServiceServicer,
    inventory_service_pb2_grpc.EnvironmentServiceServicer,
    inventory_service_pb2_grpc.RightServiceServicer,
):
    """All four services on dictionaries. `requests` remembers what was asked, `callers` who asked."""

    def __init__(self, *, administrators: Sequence[str] = ()) -> None:
        self.administrators = set(administrators)
        self.nodes: dict[str, node_pb2.Node] = {}
        self.clusters: dict[str, cluster_pb2.Cluster] = {"default": cluster_pb2.Cluster(name="default")}
        self.environments: list[environment_pb2.Environment] = []
        self.rights: list[right_pb2.Right] = []
        self.requests: list[Any] = []
        self.callers: list[str] = []

    def register(self, server: grpc.aio.Server) -> None:
        """Adds the services to a server."""
        inventory_service_pb2_grpc.add_NodeServiceServicer_to_server(self, server)
        inventory_service_pb2_grpc.add_ClusterServiceServicer_to_server(self, server)
        inventory_service_pb2_grpc.add_EnvironmentServiceServicer_to_server(self, server)
        inventory_service_pb2_grpc.add_RightServiceServicer_to_server(self, server)

    def _note(self, request: Any, *, changing: bool = False) -> None:
        self.requests.append(request)
        self.callers.append(current_caller.get().name)
        if changing and self.administrators and current_caller.get().user not in self.administrators:
            raise NotAdministrator("this call is for administrators")

    def RegisterNodes(self, request: Any, context: Any) -> Any:
        self._note(request, changing=True)
        for node in request.nodes:
            if node.cluster and node.cluster not in self.clusters:
                raise ClusterNotFound(f"there is no cluster {node.cluster}", metadata={"cluster": node.cluster})
            present = self.nodes.get(node.name)
            if present is not None and present.mac_address != node.mac_address:
                raise NodeExists(f"node {node.name} is registered with other values", metadata={"node": node.name})
        created = [node.name for node in request.nodes if node.name not in self.nodes]
        if not request.validate_only:
            for node in request.nodes:
                self.nodes[node.name] = node
                node.cluster = node.cluster or "default"
        return inventory_service_pb2.RegisterNodesResponse(nodes=request.nodes, created=created)

    def GetNode(self, request: Any, context: Any) -> Any:
        self._note(request)
        return self._node(request.name)

    def _node(self, name: str) -> node_pb2.Node:
        if name not in self.nodes:
            raise NodeNotFound(f"there is no node {name}", metadata={"node": name})
        return self.nodes[name]

    def ListNodes(self, request: Any, context: Any) -> Any:
        self._note(request)
        wanted = set(expand(request.filter.nodes)) if request.filter.nodes else set()
        rows = [
            node
            for name, node in self.nodes.items()
            if (not wanted or name in wanted) and request.filter.cluster in {"", node.cluster}
        ]
        page, token = paged(rows, lambda node: str(node.name), request, request.filter.nodes)
        return inventory_service_pb2.ListNodesResponse(nodes=page, next_page_token=token)

    def UpdateNode(self, request: Any, context: Any) -> Any:
        self._note(request, changing=True)
        node = self._node(request.node.name)
        for path in request.update_mask.paths:
            if path not in node_pb2.Node.DESCRIPTOR.fields_by_name:
                violation = FieldViolation(field=path, description="is no field")
                raise InvalidNode(f"{path} is no field", violations=(violation,))
            node.ClearField(path)
        picked = node_pb2.Node()
        request.update_mask.MergeMessage(request.node, picked)
        node.MergeFrom(picked)
        return node

    def ResolveNodeNames(self, request: Any, context: Any) -> Any:
        answer = inventory_service_pb2.ResolveNodeNamesResponse()
        for word in expand(request.nodes):
            names = [name for name in self.nodes if name.startswith(f"{word}.")]
            if word not in self.nodes and names:
                answer.found.add(word=word, names=names)
        return answer

    def DeleteNodes(self, request: Any, context: Any) -> Any:
        self._note(request, changing=True)
        results = []
        for name in expand(request.nodes):
            gone: DomainError | None = None if self.nodes.pop(name, None) else NodeNotFound(f"there is no node {name}")
            status: status_pb2.Status = to_status(gone, domain="inventory.kadeploy") if gone else ok_status()
            results.append(inventory_service_pb2.NodeResult(node=name, status=status))
        return inventory_service_pb2.DeleteNodesResponse(results=results)

    def CreateCluster(self, request: Any, context: Any) -> Any:
        self._note(request, changing=True)
        if request.cluster.name in self.clusters:
            raise ClusterExists(f"cluster {request.cluster.name} exists")
        self.clusters[request.cluster.name] = request.cluster
        return request.cluster

    def GetCluster(self, request: Any, context: Any) -> Any:
        self._note(request)
        if request.name not in self.clusters:
            raise ClusterNotFound(f"there is no cluster {request.name}")
        return self.clusters[request.name]

    def ListClusters(self, request: Any, context: Any) -> Any:
        self._note(request)
        page, token = paged(list(self.clusters.values()), lambda cluster: str(cluster.name), request, "")
        return inventory_service_pb2.ListClustersResponse(clusters=page, next_page_token=token)

    def UpdateCluster(self, request: Any, context: Any) -> Any:
        self._note(request, changing=True)
        if request.cluster.name not in self.clusters:
            raise ClusterNotFound(f"there is no cluster {request.cluster.name}")
        cluster = self.clusters[request.cluster.name]
        request.update_mask.MergeMessage(request.cluster, cluster)
        return cluster

    def DeleteCluster(self, request: Any, context: Any) -> Any:
        self._note(request, changing=True)
        if self.clusters.pop(request.name, None) is None:
            raise ClusterNotFound(f"there is no cluster {request.name}")
        return inventory_service_pb2.DeleteClusterResponse()

    def RecordEnvironment(self, request: Any, context: Any) -> Any:
        self._note(request)
        new = request.environment
        new.owner = new.owner or current_caller.get().user
        for present in self.environments:
            if (present.name, present.version, present.owner) == (new.name, new.version, new.owner):
                if present != new:
                    raise EnvironmentExists(f"environment {new.name} version {new.version} is recorded already")
                return present
        self.environments.append(new)
        return new

    def GetEnvironment(self, request: Any, context: Any) -> Any:
        self._note(request)
        return self._environments(request.environment)[0]

    def _environments(self, wanted: environment_pb2.EnvironmentReference) -> list[environment_pb2.Environment]:
        owner = wanted.owner or current_caller.get().user
        found = [one for one in self.environments if one.name == wanted.name and one.owner == owner]
        if wanted.HasField("version"):
            found = [one for one in found if one.version == wanted.version]
        if not found:
            message = f"there is no environment {wanted.name} that {owner} may use"
            raise EnvironmentNotFound(message, metadata={"environment": wanted.name})
        return sorted(found, key=lambda one: -one.version)

    def ListEnvironments(self, request: Any, context: Any) -> Any:
        self._note(request)
        rows = [
            one
            for one in self.environments
            if request.filter.name in {"", one.name} and request.filter.owner in {"", one.owner}
        ]
        page, token = paged(rows, lambda one: f"{one.name} {one.version} {one.owner}", request, "")
        return inventory_service_pb2.ListEnvironmentsResponse(environments=page, next_page_token=token)

    def DeleteEnvironment(self, request: Any, context: Any) -> Any:
        self._note(request)
        found = self._environments(request.environment)
        self.environments = [one for one in self.environments if one not in found]
        return inventory_service_pb2.DeleteEnvironmentResponse(versions=[one.version for one in found])

    def GrantRights(self, request: Any, context: Any) -> Any:
        self._note(request, changing=True)
        nodes = ["*"] if request.nodes == "*" else list(expand(request.nodes))
        granted = [
            right_pb2.Right(
                user=user,
                node=node,
                partition=partition,
                expire_time=request.expire_time if request.HasField("expire_time") else None,
            )
            for user in request.users
            for node in nodes
            for partition in request.partitions
        ]
        self.rights.extend(granted)
        return inventory_service_pb2.GrantRightsResponse(rights=granted)

    def RevokeRights(self, request: Any, context: Any) -> Any:
        self._note(request, changing=True)
        nodes = [request.nodes] if request.nodes in {"", "*"} else list(expand(request.nodes))
        gone = [
            right
            for right in self.rights
            if (not request.users or right.user in request.users)
            and (not request.nodes or right.node in nodes)
            and (not request.partitions or right.partition in request.partitions)
        ]
        self.rights = [right for right in self.rights if right not in gone]
        return inventory_service_pb2.RevokeRightsResponse(rights=gone)

    def ListRights(self, request: Any, context: Any) -> Any:
        self._note(request)
        rows = [right for right in self.rights if request.filter.user in {"", right.user}]
        page, token = paged(rows, lambda right: f"{right.user} {right.node} {right.partition}", request, "")
        return inventory_service_pb2.ListRightsResponse(rights=page, next_page_token=token)
