"""NodeService: convert, call, convert."""

import grpc

from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc, node_pb2
from kadeploy_edge.status import ok_status, to_status
from kadeploy_inventory.app import nodes
from kadeploy_inventory.app.ports import Runtime
from kadeploy_inventory.domain.errors import InvalidNode
from kadeploy_inventory.domain.node import Node
from kadeploy_inventory.rpc.node_messages import (
    node_from_message,
    node_to_message,
    nodes_from_messages,
    nodes_to_messages,
)
from kadeploy_inventory.rpc.paging import cut
from kadeploy_inventory.rpc.update_mask import merged, violations
from kadeploy_nodeset import natural_order

ERROR_DOMAIN = "inventory.kadeploy"
CHANGEABLE = frozenset(
    {"mac_address", "ip_address", "cluster", "firmware", "disks", "bmc_address", "commands", "labels", "uuid"}
)


class NodeServicer(inventory_service_pb2_grpc.NodeServiceServicer):
    """The composition of the site."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def RegisterNodes(
        self, request: inventory_service_pb2.RegisterNodesRequest, context: grpc.ServicerContext
    ) -> inventory_service_pb2.RegisterNodesResponse:
        """Registers a whole description, or nothing of it."""
        descriptions = nodes_from_messages(request.nodes)
        registered = self._runtime.store.change_deploy(
            lambda work: nodes.register_nodes(
                descriptions,
                validate_only=request.validate_only,
                work=work,
                clock=self._runtime.clock,
                make_id=self._runtime.make_id,
            )
        )
        return inventory_service_pb2.RegisterNodesResponse(
            nodes=nodes_to_messages(registered.nodes),
            created=registered.created,
            notices=registered.notices,
        )

    def GetNode(self, request: inventory_service_pb2.GetNodeRequest, context: grpc.ServicerContext) -> node_pb2.Node:
        """Returns one node."""
        node = self._runtime.store.read(lambda work: nodes.get_node(request.name, work=work))
        return node_to_message(node)

    def ListNodes(
        self, request: inventory_service_pb2.ListNodesRequest, context: grpc.ServicerContext
    ) -> inventory_service_pb2.ListNodesResponse:
        """Lists nodes in the order of node sets."""
        wanted = request.filter
        page, token = cut(
            lambda after, limit: self._runtime.store.read(
                lambda work: nodes.list_nodes(
                    nodes=wanted.nodes, cluster=wanted.cluster, after=after, limit=limit, work=work
                )
            ),
            size=request.page_size,
            token=request.page_token,
            binding=f"nodes nodes={wanted.nodes} cluster={wanted.cluster}",
            key=lambda node: natural_order(node.name),
            message=node_to_message,
        )
        return inventory_service_pb2.ListNodesResponse(nodes=page, next_page_token=token)

    def ResolveNodeNames(
        self, request: inventory_service_pb2.ResolveNodeNamesRequest, context: grpc.ServicerContext
    ) -> inventory_service_pb2.ResolveNodeNamesResponse:
        """Finds the names of nodes that are named in short, or by address."""
        found = self._runtime.store.read(lambda work: nodes.find_names(request.nodes, domain=request.domain, work=work))
        return inventory_service_pb2.ResolveNodeNamesResponse(
            found=[inventory_service_pb2.FoundNodeName(word=word, names=names) for word, names in found.items()]
        )

    def UpdateNode(
        self, request: inventory_service_pb2.UpdateNodeRequest, context: grpc.ServicerContext
    ) -> node_pb2.Node:
        """Changes the fields named by the mask."""
        wanted, mask = request.node, request.update_mask
        wrong = violations(mask, wanted, changeable=CHANGEABLE)
        if wrong:
            raise InvalidNode.of("the update cannot be accepted", wrong)

        def change(present: Node) -> Node:
            return node_from_message(merged(node_to_message(present), wanted, mask))

        node = self._runtime.store.change_deploy(
            lambda work: nodes.update_node(
                wanted.name,
                etag=wanted.etag,
                change=change,
                work=work,
                clock=self._runtime.clock,
                make_id=self._runtime.make_id,
            )
        )
        return node_to_message(node)

    def DeleteNodes(
        self, request: inventory_service_pb2.DeleteNodesRequest, context: grpc.ServicerContext
    ) -> inventory_service_pb2.DeleteNodesResponse:
        """Removes nodes, with a result for each."""
        removals = self._runtime.store.change_deploy(
            lambda work: nodes.delete_nodes(request.nodes, work=work), frees=True
        )
        results = [
            inventory_service_pb2.NodeResult(
                node=removal.node,
                status=to_status(removal.error, domain=ERROR_DOMAIN) if removal.error else ok_status(),
            )
            for removal in removals
        ]
        return inventory_service_pb2.DeleteNodesResponse(results=results)
