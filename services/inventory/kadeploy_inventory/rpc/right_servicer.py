"""RightService: convert, call, convert."""

import grpc

from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_edge.caller import current_caller
from kadeploy_inventory.app import rights
from kadeploy_inventory.app.ports import Runtime
from kadeploy_inventory.domain.errors import NotYours
from kadeploy_inventory.rpc.paging import cut
from kadeploy_inventory.rpc.right_messages import right_to_message
from kadeploy_inventory.rpc.wire_values import read_time


class RightServicer(inventory_service_pb2_grpc.RightServiceServicer):
    """Who may do what where. A user sees his own rights, administrators and services all."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def GrantRights(
        self, request: inventory_service_pb2.GrantRightsRequest, context: grpc.ServicerContext
    ) -> inventory_service_pb2.GrantRightsResponse:
        """Grants users x nodes x partitions."""
        given = request.HasField("expire_time")
        expire_time = read_time(request.expire_time, "expire_time") if given else None
        granted = self._runtime.store.change_rights(
            lambda work: rights.grant_rights(
                users=request.users,
                nodes=request.nodes,
                partitions=request.partitions,
                expire_time=expire_time,
                work=work,
                clock=self._runtime.clock,
            )
        )
        return inventory_service_pb2.GrantRightsResponse(rights=map(right_to_message, granted))

    def RevokeRights(
        self, request: inventory_service_pb2.RevokeRightsRequest, context: grpc.ServicerContext
    ) -> inventory_service_pb2.RevokeRightsResponse:
        """Takes rights away."""
        revoked = self._runtime.store.change_rights(
            lambda work: rights.revoke_rights(
                users=request.users,
                nodes=request.nodes,
                partitions=request.partitions,
                work=work,
            ),
            frees=True,
        )
        return inventory_service_pb2.RevokeRightsResponse(rights=map(right_to_message, revoked))

    def ListRights(
        self, request: inventory_service_pb2.ListRightsRequest, context: grpc.ServicerContext
    ) -> inventory_service_pb2.ListRightsResponse:
        """Lists rights by user, node and partition."""
        nodes, user = request.filter.nodes, self._visible_user(request.filter.user)
        page, token = cut(
            lambda after, limit: self._runtime.store.read(
                lambda work: rights.list_rights(
                    user=user,
                    nodes=nodes,
                    after=after,
                    limit=limit,
                    work=work,
                    clock=self._runtime.clock,
                )
            ),
            size=request.page_size,
            token=request.page_token,
            binding=f"rights user={user} nodes={nodes}",
            key=lambda right: (right.user, right.node, right.partition),
            message=right_to_message,
        )
        return inventory_service_pb2.ListRightsResponse(rights=page, next_page_token=token)

    def CheckRights(
        self, request: inventory_service_pb2.CheckRightsRequest, context: grpc.ServicerContext
    ) -> inventory_service_pb2.CheckRightsResponse:
        """Says per node whether a user has a right."""
        user = self._visible_user(request.user) or current_caller.get().user
        checks = self._runtime.store.read(
            lambda work: rights.check_rights(
                user=user,
                nodes=request.nodes,
                partition=request.partition,
                work=work,
                clock=self._runtime.clock,
            )
        )
        return inventory_service_pb2.CheckRightsResponse(
            checks=[
                inventory_service_pb2.RightCheck(node=check.node, allowed=check.allowed, partitions=check.partitions)
                for check in checks
            ]
        )

    def _visible_user(self, wanted: str) -> str:
        """Returns the user whose rights are asked for; empty for all of them."""
        caller = current_caller.get()
        if caller.is_service or caller.user in self._runtime.administrators:
            return wanted
        if wanted not in {"", caller.user}:
            raise NotYours(
                f"the rights of {wanted} are shown to {wanted} and to administrators",
                metadata={"user": wanted},
            )
        return caller.user
