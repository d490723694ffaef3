"""ClusterService: convert, call, convert."""

import grpc

from kadeploy.inventory.v1 import (
    cluster_pb2,
    inventory_service_pb2,
    inventory_service_pb2_grpc,
)
from kadeploy_inventory.app import clusters
from kadeploy_inventory.app.ports import Runtime
from kadeploy_inventory.domain.cluster import Cluster
from kadeploy_inventory.domain.errors import InvalidCluster
from kadeploy_inventory.rpc.cluster_messages import (
    cluster_from_message,
    cluster_to_message,
    complete_cluster_to_message,
)
from kadeploy_inventory.rpc.paging import cut
from kadeploy_inventory.rpc.update_mask import merged, violations

CHANGEABLE = frozenset({"profile"})


class ClusterServicer(inventory_service_pb2_grpc.ClusterServiceServicer):
    """Clusters and their profiles. Readers see profiles with every default filled in."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def CreateCluster(
        self, request: inventory_service_pb2.CreateClusterRequest, context: grpc.ServicerContext
    ) -> cluster_pb2.Cluster:
        """Creates a cluster."""
        description = cluster_from_message(request.cluster)
        cluster = self._runtime.store.change_deploy(
            lambda work: clusters.create_cluster(
                description, work=work, clock=self._runtime.clock, make_id=self._runtime.make_id
            )
        )
        return complete_cluster_to_message(cluster)

    def GetCluster(
        self, request: inventory_service_pb2.GetClusterRequest, context: grpc.ServicerContext
    ) -> cluster_pb2.Cluster:
        """Returns one cluster."""
        cluster = self._runtime.store.read(lambda work: clusters.get_cluster(request.name, work=work))
        return complete_cluster_to_message(cluster)

    def ListClusters(
        self, request: inventory_service_pb2.ListClustersRequest, context: grpc.ServicerContext
    ) -> inventory_service_pb2.ListClustersResponse:
        """Lists clusters by name."""
        page, token = cut(
            lambda after, limit: self._runtime.store.read(
                lambda work: clusters.list_clusters(after=after, limit=limit, work=work)
            ),
            size=request.page_size,
            token=request.page_token,
            binding="clusters",
            key=lambda cluster: (cluster.name,),
            message=complete_cluster_to_message,
        )
        return inventory_service_pb2.ListClustersResponse(clusters=page, next_page_token=token)

    def UpdateCluster(
        self, request: inventory_service_pb2.UpdateClusterRequest, context: grpc.ServicerContext
    ) -> cluster_pb2.Cluster:
        """Changes the fields named by the mask."""
        wanted, mask = request.cluster, request.update_mask
        wrong = violations(mask, wanted, changeable=CHANGEABLE)
        if wrong:
            raise InvalidCluster.of("the update cannot be accepted", wrong)

        def change(present: Cluster) -> Cluster:
            return cluster_from_message(merged(cluster_to_message(present), wanted, mask))

        cluster = self._runtime.store.change_deploy(
            lambda work: clusters.update_cluster(
                wanted.name,
                etag=wanted.etag,
                change=change,
                work=work,
                clock=self._runtime.clock,
                make_id=self._runtime.make_id,
            )
        )
        return complete_cluster_to_message(cluster)

    def DeleteCluster(
        self, request: inventory_service_pb2.DeleteClusterRequest, context: grpc.ServicerContext
    ) -> inventory_service_pb2.DeleteClusterResponse:
        """Removes a cluster that nothing stands in."""
        self._runtime.store.change_deploy(lambda work: clusters.delete_cluster(request.name, work=work), frees=True)
        return inventory_service_pb2.DeleteClusterResponse()
