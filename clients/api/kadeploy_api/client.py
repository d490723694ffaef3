"""The services as Python functions: typed, with a deadline on every call, and safe to be repeated."""

import copy
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, TypedDict, TypeVar, Unpack

import grpc

from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc, deployment_pb2, operation_pb2
from kadeploy.inventory.v1 import (
    cluster_pb2,
    environment_pb2,
    inventory_service_pb2,
    inventory_service_pb2_grpc,
    node_pb2,
    right_pb2,
)
from kadeploy_api.settings import ClientSettings, read_client_settings
from kadeploy_api.watching import Watch
from kadeploy_edge import errors
from kadeploy_edge.channel import open_channel
from kadeploy_edge.status import RemoteError, from_rpc_error

Response = TypeVar("Response")

PAGE_SIZE = 500
# A list that has more pages than this was made by a broken server.
MAXIMUM_PAGES = 100_000
CREATE_TRIES = 4
FIRST_PAUSE = 0.5


class SpecOptions(TypedDict, total=False):
    """What a deployment may be asked for besides nodes and environment: the fields of DeploymentSpec."""

    environment_version: int
    environment_owner: str
    device: str
    partition: int
    busy_policy: "deployment_pb2.BusyPolicy.ValueType"
    write_partition_table: bool
    reformat_tmp: str
    boot_method: "deployment_pb2.BootMethod.ValueType"
    authorized_keys: Sequence[str]
    kernel_arguments: str


class Kadeploy:
    """Inventory and deployer, called on behalf of one user."""

    def __init__(
        self, settings: ClientSettings, *, metadata: Callable[[], tuple[tuple[str, str], ...]] = tuple
    ) -> None:
        """Opens channels; nothing is sent yet.

        Args:
            settings: where the services answer, and who calls.
            metadata: sent with each call.

        Raises:
            UnsafeAddress: TCP without certificates, or no address at all.
            UnusableCertificate: a file is not there, is damaged, has ended, or does not fit the others.
        """
        self.settings = settings
        self._metadata = metadata
        self._channels: list[grpc.Channel] = []
        inventory, deployer = self._open(settings.inventory_address), self._open(settings.deployer_address)
        self._nodes = inventory_service_pb2_grpc.NodeServiceStub(inventory)
        self._clusters = inventory_service_pb2_grpc.ClusterServiceStub(inventory)
        self._environments = inventory_service_pb2_grpc.EnvironmentServiceStub(inventory)
        self._rights = inventory_service_pb2_grpc.RightServiceStub(inventory)
        self._deployments = deployer_service_pb2_grpc.DeploymentServiceStub(deployer)
        self._control = deployer_service_pb2_grpc.NodeControlServiceStub(deployer)
        self._states = deployer_service_pb2_grpc.ClusterStateServiceStub(deployer)

    @classmethod
    def from_settings(cls, path: Path | None = None) -> Self:
        """Returns a client with the settings that the commands would use. Raises UnusableSettings."""
        return cls(read_client_settings(path))

    def with_metadata(self, *metadata: tuple[str, str]) -> Self:
        """Returns a client that shares the channels of this one and sends other metadata with each call."""
        other = copy.copy(self)
        other._metadata = lambda: metadata  # noqa: SLF001 - an object of this class
        return other

    def close(self) -> None:
        """Closes the channels; calls that still run are cancelled."""
        for channel in self._channels:
            channel.close()

    def __enter__(self) -> Self:
        """Returns the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the channels."""
        self.close()

    # What the site is made of

    def nodes(self, nodes: str = "", *, cluster: str = "") -> Iterator[node_pb2.Node]:
        """Yields the nodes of a node set, or all, in the order of node sets."""
        request = inventory_service_pb2.ListNodesRequest(
            filter=inventory_service_pb2.NodeFilter(nodes=nodes, cluster=cluster)
        )
        return self._pages(self._nodes.ListNodes, request, lambda answer: answer.nodes)

    def node(self, name: str) -> node_pb2.Node:
        """Returns a node."""
        return self._call(self._nodes.GetNode, inventory_service_pb2.GetNodeRequest(name=name))

    def clusters(self) -> Iterator[cluster_pb2.Cluster]:
        """Yields the clusters, by name."""
        request = inventory_service_pb2.ListClustersRequest()
        return self._pages(self._clusters.ListClusters, request, lambda answer: answer.clusters)

    def environments(self, name: str = "", *, latest: bool = True) -> Iterator[environment_pb2.Environment]:
        """Yields the environments that the caller may use; only the latest version of each unless told otherwise."""
        chosen = inventory_service_pb2.EnvironmentFilter(name=name, latest=latest)
        request = inventory_service_pb2.ListEnvironmentsRequest(filter=chosen)
        return self._pages(self._environments.ListEnvironments, request, lambda answer: answer.environments)

    def rights(self, nodes: str = "") -> Iterator[right_pb2.Right]:
        """Yields the caller's rights, of an administrator everybody's."""
        request = inventory_service_pb2.ListRightsRequest(filter=inventory_service_pb2.RightFilter(nodes=nodes))
        return self._pages(self._rights.ListRights, request, lambda answer: answer.rights)

    # What it looks like now

    def partition_states(self, nodes: str = "") -> Iterator[deployer_service_pb2.PartitionStatus]:
        """Yields the partitions that were ever a target, by node, device and number."""
        request = deployer_service_pb2.ListPartitionStatesRequest(nodes=nodes)
        return self._pages(self._states.ListPartitionStates, request, lambda answer: answer.partitions)

    def node_states(self, nodes: str = "") -> Iterator[deployer_service_pb2.NodeState]:
        """Yields the nodes that were ever deployed, with who holds each."""
        request = deployer_service_pb2.ListNodeStatesRequest(nodes=nodes)
        return self._pages(self._states.ListNodeStates, request, lambda answer: answer.nodes)

    def statistics(
        self, nodes: str = "", *, since: float | None = None, until: float | None = None
    ) -> deployer_service_pb2.GetStatisticsResponse:
        """Returns the history per month, node and step. `since` and `until`: seconds since 1970."""
        request = deployer_service_pb2.GetStatisticsRequest(nodes=nodes)
        if since is not None:
            request.start_time.FromNanoseconds(int(since * 1e9))
        if until is not None:
            request.end_time.FromNanoseconds(int(until * 1e9))
        return self._call(self._states.GetStatistics, request)

    # Deployments

    def deployments(
        self,
        nodes: str = "",
        *,
        owner: str = "",
        states: Sequence["deployment_pb2.DeploymentState.ValueType"] = (),
    ) -> Iterator[deployment_pb2.Deployment]:
        """Yields deployments without their nodes, the latest first."""
        chosen = deployer_service_pb2.DeploymentFilter(nodes=nodes, owner=owner, states=states)
        request = deployer_service_pb2.ListDeploymentsRequest(filter=chosen)
        return self._pages(self._deployments.ListDeployments, request, lambda answer: answer.deployments)

    def deployment_page(
        self, request: deployer_service_pb2.ListDeploymentsRequest
    ) -> deployer_service_pb2.ListDeploymentsResponse:
        """Returns one page of deployments."""
        return self._call(self._deployments.ListDeployments, request)

    def deployment(self, deployment_id: str) -> deployment_pb2.Deployment:
        """Returns a deployment with its nodes."""
        return self._call(self._deployments.GetDeployment, deployer_service_pb2.GetDeploymentRequest(id=deployment_id))

    def plan(self, spec: deployment_pb2.DeploymentSpec) -> deployer_service_pb2.PlanDeploymentResponse:
        """Returns what a deployment would do to each node. Changes nothing."""
        return self._call(self._deployments.PlanDeployment, deployer_service_pb2.PlanDeploymentRequest(spec=spec))

    def deploy(self, nodes: str, environment: str, **options: Unpack[SpecOptions]) -> deployment_pb2.Deployment:
        """Creates a deployment of an environment on a node set and returns it at once."""
        spec = deployment_pb2.DeploymentSpec(nodes=nodes, environment_name=environment, **options)
        return self.create(spec)

    def create(self, spec: deployment_pb2.DeploymentSpec, *, request_id: str = "") -> deployment_pb2.Deployment:
        """Creates a deployment and returns it at once.

        A call whose answer is lost is repeated with the same request id, so that nothing is deployed twice.

        Args:
            spec: what is wanted.
            request_id: a UUID; made here unless it is given, for a program that may itself be started again.
        """
        request = deployer_service_pb2.CreateDeploymentRequest(request_id=request_id or str(uuid.uuid4()), spec=spec)
        pause = FIRST_PAUSE
        for _ in range(CREATE_TRIES - 1):
            try:
                return self._call(self._deployments.CreateDeployment, request)
            except RemoteError as error:
                if not _may_be_repeated(error):
                    raise
            time.sleep(pause)
            pause *= 2
        return self._call(self._deployments.CreateDeployment, request)

    def cancel(self, deployment_id: str, reason: str = "") -> deployment_pb2.Deployment:
        """Asks a deployment to stop and returns it."""
        request = deployer_service_pb2.CancelDeploymentRequest(id=deployment_id, reason=reason)
        return self._call(self._deployments.CancelDeployment, request)

    def operation_page(
        self, request: deployer_service_pb2.ListOperationsRequest
    ) -> deployer_service_pb2.ListOperationsResponse:
        """Returns one page of operations: reboots, power changes and commands."""
        return self._call(self._control.ListOperations, request)

    def operation(self, operation_id: str) -> operation_pb2.Operation:
        """Returns an operation with its nodes."""
        return self._call(self._control.GetOperation, deployer_service_pb2.GetOperationRequest(id=operation_id))

    def step_outputs(self, deployment_id: str, node: str, step: str = "") -> Sequence[deployer_service_pb2.StepOutput]:
        """Returns what the scripts of a step, or of all, printed on a node."""
        request = deployer_service_pb2.GetStepOutputRequest(id=deployment_id, node=node, step=step)
        return self._call(self._deployments.GetStepOutput, request).outputs

    def watch(self, deployment_id: str) -> Watch:
        """Returns the updates of a deployment, to be iterated over until it has ended."""
        return Watch(
            self._deployments,
            deployment_id,
            reconnect_seconds=self.settings.reconnect_seconds,
            metadata=self._metadata,
        )

    def wait(self, deployment_id: str, *, seconds: float) -> deployment_pb2.Deployment:
        """Returns a deployment when it has ended. Raises TimeoutError after so many seconds; it goes on then."""
        watch = Watch(
            self._deployments,
            deployment_id,
            reconnect_seconds=self.settings.reconnect_seconds,
            deadline=time.monotonic() + seconds,
            metadata=self._metadata,
        )
        for _ in watch:
            pass
        if not watch.view.finished:
            raise TimeoutError(f"deployment {deployment_id} has not ended within {seconds:g} s")
        return self.deployment(deployment_id)

    def _open(self, address: str) -> grpc.Channel:
        settings = self.settings
        channel = open_channel(address, caller=f"user:{settings.user}", tls=settings.tls, insecure=settings.insecure)
        self._channels.append(channel)
        return channel

    def _call(self, method: Callable[..., Response], request: object) -> Response:
        try:
            return method(request, timeout=self.settings.call_seconds, metadata=self._metadata())
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None

    def _pages(self, method: Callable[..., Any], request: Any, rows: Callable[[Any], Sequence[Any]]) -> Iterator[Any]:
        request.page_size = PAGE_SIZE
        for _ in range(MAXIMUM_PAGES):
            answer = self._call(method, request)
            yield from rows(answer)
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token
        raise RemoteError(code=grpc.StatusCode.INTERNAL, message="a list has no end")


def _may_be_repeated(error: RemoteError) -> bool:
    unanswered = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    return error.kind is errors.Unreachable or (not error.reason and error.code in unanswered)
