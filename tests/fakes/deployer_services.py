"""A deployer that plays a written scenario behind the real contract, for tests of its callers."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc

from kadeploy.deployer.v1 import (
    deployer_service_pb2,
    deployer_service_pb2_grpc,
    deployment_event_pb2,
    deployment_pb2,
)
from kadeploy_edge.caller import current_caller
from kadeploy_edge.errors import HistoryGone, Missing, NotInState, Unreachable
from kadeploy_nodeset import expand, fold
from tests.fakes.inventory_services import paged
from tests.fakes.node_control_services import NodeControlServices

SERVICES = ("kadeploy.deployer.v1.DeploymentService", "kadeploy.deployer.v1.ClusterStateService")
STEPS = ("boot_deployment_environment", "format", "broadcast", "boot_new_system")
BROADCAST_STEP = "broadcast"
IMAGE_SIZE = 40 * 1024 * 1024
START = 1_700_000_000
PATIENCE = 20.0


class DeploymentNotFound(Missing):
    reason = "DEPLOYMENT_NOT_FOUND"


class DeploymentFinished(NotInState):
    reason = "DEPLOYMENT_FINISHED"


class NodesBusy(NotInState):
    reason = "NODES_BUSY"


class WatchHistoryGone(HistoryGone):
    reason = "WATCH_HISTORY_GONE"


class GoingAway(Unreachable):
    reason = "GOING_AWAY"


class DeployerServices(
    deployer_service_pb2_grpc.DeploymentServiceServicer, deployer_service_pb2_grpc.ClusterStateServiceServicer
):
    """Deploys on no node at all, and tells it as the real deployer would.

    Attributes:
        failing: nodes that fail in the step "format", and what is said of it.
        busy: nodes that another deployment holds.
        breaks: sequences after which a stream breaks, once each.
        gone: sequences that cannot be resumed from, once each.
        hold: when cleared, the scenario stops before its last event until it is set or the deployment is cancelled.
    """

    def __init__(self) -> None:
        self.failing: dict[str, str] = {}
        self.busy: set[str] = set()
        self.breaks: list[int] = []
        self.gone: list[int] = []
        self.hold = threading.Event()
        self.hold.set()
        # Cleared: it is nobody's turn until somebody asks for the list of deployments.
        self.turn = threading.Event()
        self.turn.set()
        self.asked = threading.Event()
        self.deployments: dict[str, deployment_pb2.Deployment] = {}
        self.events: dict[str, list[deployment_event_pb2.DeploymentEvent]] = {}
        self.partitions: list[deployer_service_pb2.PartitionStatus] = []
        self.host = deployer_service_pb2.CheckHostResponse()
        self.diagnosis = deployer_service_pb2.GetNodeDiagnosisResponse()
        self.node_states: list[deployer_service_pb2.NodeState] = []
        self.requests: list[Any] = []
        self.watched_from: list[int] = []
        self.by_request_id: dict[str, str] = {}
        # How many CreateDeployment calls are answered with UNAVAILABLE after the deployment was made.
        self.lost_answers = 0
        self.control = NodeControlServices()
        self.statistics = deployer_service_pb2.GetStatisticsResponse()
        # What a plan says of the boot, and a step that it has besides.
        self.planned_method = deployment_pb2.BOOT_METHOD_NETWORK
        self.planned_step = ""
        self._cancelled = threading.Event()

    def register(self, server: grpc.aio.Server) -> None:
        """Adds the services to a server."""
        deployer_service_pb2_grpc.add_DeploymentServiceServicer_to_server(self, server)
        deployer_service_pb2_grpc.add_ClusterStateServiceServicer_to_server(self, server)
        deployer_service_pb2_grpc.add_NodeControlServiceServicer_to_server(self.control, server)

    def CreateDeployment(self, request: Any, context: Any) -> Any:
        self.requests.append(request)
        self.asked.set()
        self.turn.wait(PATIENCE)
        if request.request_id in self.by_request_id:
            return self.deployments[self.by_request_id[request.request_id]]
        names = list(expand(request.spec.nodes))
        if request.spec.busy_policy == deployment_pb2.BUSY_POLICY_FAIL and self.busy & set(names):
            raise NodesBusy(f"{fold(self.busy)} is held by deployment D-0")
        deployment = self._made(f"D-{len(self.deployments) + 1}", request.spec, names)
        self.deployments[deployment.id] = deployment
        self.by_request_id[request.request_id] = deployment.id
        self.events[deployment.id] = self._scenario(deployment, [name for name in names if name not in self.busy])
        if self.lost_answers:
            self.lost_answers -= 1
            raise GoingAway("the deployer is going away")
        return deployment

    def _made(self, name: str, spec: Any, names: Sequence[str]) -> deployment_pb2.Deployment:
        deployment = deployment_pb2.Deployment(
            id=name,
            state=deployment_pb2.DEPLOYMENT_STATE_DEPLOYING,
            owner=current_caller.get().user,
            spec=spec,
            environment=deployment_pb2.ResolvedEnvironment(
                name=spec.environment_name,
                version=spec.environment_version or 1,
                owner="root",
                image_digest="sha256:" + "a" * 64,
                image_size_bytes=IMAGE_SIZE,
            ),
        )
        deployment.create_time.FromSeconds(START)
        for node in names:
            one = deployment.nodes.add(node=node, device="vda", partition=spec.partition or 3)
            one.state = deployment_pb2.PARTITION_STATE_TO_DEPLOY
            if node in self.busy:
                one.state, one.reason = deployment_pb2.PARTITION_STATE_ERROR, deployment_pb2.FAILURE_REASON_BUSY
                one.description = "held by deployment D-0"
        return deployment

    def _scenario(self, deployment: deployment_pb2.Deployment, names: Sequence[str]) -> list[Any]:
        events: list[deployment_event_pb2.DeploymentEvent] = []

        def tell(node: str = "", **kind: Any) -> None:
            event = deployment_event_pb2.DeploymentEvent(sequence=len(events) + 1, node=node, **kind)
            event.time.FromSeconds(START + len(events))
            events.append(event)

        alive = list(names)
        for step in STEPS:
            for node in alive:
                tell(node, step_started=deployment_event_pb2.StepStarted(step=step, attempt=1))
            if step == BROADCAST_STEP:
                for node in alive:
                    for part in (1, 2, 4):
                        done = IMAGE_SIZE * part // 4
                        told = deployment_event_pb2.StepProgressed(step=step, done=done, total=IMAGE_SIZE)
                        tell(node, step_progressed=told)
            for node in list(alive):
                failed = step == "format" and node in self.failing
                text = self.failing[node] if failed else ""
                tell(node, step_ended=deployment_event_pb2.StepEnded(step=step, succeeded=not failed, description=text))
                if failed:
                    alive.remove(node)
                    state = deployment_pb2.PARTITION_STATE_ERROR
                    reason = deployment_pb2.FAILURE_REASON_FORMAT_FAILED
                    changed = deployment_event_pb2.PartitionStateChanged(state=state, reason=reason, description=text)
                    tell(node, partition_state_changed=changed)
        for node in alive:
            state = deployment_pb2.PARTITION_STATE_DEPLOYED
            tell(node, partition_state_changed=deployment_event_pb2.PartitionStateChanged(state=state))
        tell(remark=deployment_event_pb2.Remark(text="unlocking the nodes"))
        ended = deployment_event_pb2.DeploymentStateChanged(state=_final(names, alive))
        tell(deployment_state_changed=ended)
        return events

    def _end(self, deployment: deployment_pb2.Deployment) -> None:
        """Puts the outcome into the deployment, as the events told it."""
        for node in deployment.nodes:
            if node.node in self.busy:
                continue
            for step in STEPS:
                node.step_durations.add(step=step, attempts=1).duration.FromMilliseconds(1500)
                if node.node in self.failing and step == "format":
                    break
            if self._cancelled.is_set():
                node.state, node.reason = deployment_pb2.PARTITION_STATE_ERROR, deployment_pb2.FAILURE_REASON_CANCELLED
                node.description = "cancelled in broadcast"
            elif node.node in self.failing:
                node.state = deployment_pb2.PARTITION_STATE_ERROR
                node.reason = deployment_pb2.FAILURE_REASON_FORMAT_FAILED
                node.description, node.step = self.failing[node.node], "format"
            else:
                node.state, node.boot_id = deployment_pb2.PARTITION_STATE_DEPLOYED, f"boot-of-{node.node}"
        good = all(node.state == deployment_pb2.PARTITION_STATE_DEPLOYED for node in deployment.nodes)
        ok = deployment_pb2.DEPLOYMENT_STATE_TERMINATED
        deployment.state = ok if good else deployment_pb2.DEPLOYMENT_STATE_ERROR
        deployment.end_time.FromSeconds(START + 60)

    def _deployment(self, name: str) -> deployment_pb2.Deployment:
        if name not in self.deployments:
            raise DeploymentNotFound(f"there is no deployment {name}", metadata={"id": name})
        return self.deployments[name]

    def GetDeployment(self, request: Any, context: Any) -> Any:
        return self._deployment(request.id)

    def ListDeployments(self, request: Any, context: Any) -> Any:
        self.requests.append(request)
        self.turn.set()
        wanted = request.filter.states
        rows = [row for row in reversed(self.deployments.values()) if not wanted or row.state in wanted]
        page, token = paged(rows, lambda row: str(row.id), request, "")
        return deployer_service_pb2.ListDeploymentsResponse(deployments=page, next_page_token=token)

    async def WatchDeployment(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self.watched_from.append(request.after_sequence)
        deployment = self._deployment(request.id)
        if request.after_sequence in self.gone:
            self.gone.remove(request.after_sequence)
            raise WatchHistoryGone("the history does not reach back so far")
        if request.after_sequence == 0:
            snapshot = deployer_service_pb2.Snapshot(deployment=deployment, sequence=0)
            yield deployer_service_pb2.WatchDeploymentResponse(snapshot=snapshot)
        yield deployer_service_pb2.WatchDeploymentResponse(heartbeat=deployer_service_pb2.Heartbeat())
        events = self.events[request.id]
        for event in events[request.after_sequence :]:
            if event is events[-1]:
                await asyncio.to_thread(self.hold.wait, PATIENCE)
                self._end(deployment)
            yield deployer_service_pb2.WatchDeploymentResponse(event=event)
            if event.sequence in self.breaks:
                self.breaks.remove(event.sequence)
                raise GoingAway("the deployer is going away")

    def CancelDeployment(self, request: Any, context: Any) -> Any:
        self.requests.append(request)
        deployment = self._deployment(request.id)
        if deployment.state != deployment_pb2.DEPLOYMENT_STATE_DEPLOYING:
            raise DeploymentFinished(f"deployment {request.id} has ended")
        self._cancelled.set()
        self.hold.set()
        return deployment

    def GetStepOutput(self, request: Any, context: Any) -> Any:
        self._deployment(request.id)
        output = deployer_service_pb2.StepOutput(step="postinstall", attempt=1, text="writing fstab\ndone\n")
        return deployer_service_pb2.GetStepOutputResponse(outputs=[output])

    def PlanDeployment(self, request: Any, context: Any) -> Any:
        self.requests.append(request)
        plan = deployer_service_pb2.PlanDeploymentResponse()
        plan.environment.name, plan.environment.version = request.spec.environment_name, 1
        plan.boot_method = self.planned_method
        for name in expand(request.spec.nodes):
            busy = name in self.busy
            node = plan.nodes.add(node=name, included=not busy, held_by="D-0" if busy else "")
            if busy:
                node.reason = deployment_pb2.FAILURE_REASON_BUSY
                continue
            if self.planned_step:
                node.steps.add(step=self.planned_step)
            step = node.steps.add(step="boot_deployment_environment", retries=1, actions=["reboot softly"])
            step.timeout.FromSeconds(210)
            for path in ("pxelinux.cfg/01-52", "pxelinux.cfg/AC1F000B"):
                step.files.add(path=path, text="DEFAULT deploy\n")
        return plan

    def GetStatistics(self, request: Any, context: Any) -> Any:
        self.requests.append(request)
        return self.statistics

    def ListNodeStates(self, request: Any, context: Any) -> Any:
        page, token = paged(self.node_states, lambda row: str(row.node), request, request.nodes)
        return deployer_service_pb2.ListNodeStatesResponse(nodes=page, next_page_token=token)

    def CheckHost(self, request: Any, context: Any) -> Any:
        return self.host

    def GetNodeDiagnosis(self, request: Any, context: Any) -> Any:
        self.requests.append(request)
        return self.diagnosis

    def DeclarePartitions(self, request: Any, context: Any) -> Any:
        self.requests.append(request)
        answer = deployer_service_pb2.DeclarePartitionsResponse()
        for name in expand(request.nodes):
            one = answer.nodes.add(node=name, device=request.device or "vda", partition=request.partition or 3)
            if name in self.busy:
                one.reason, one.description = deployment_pb2.FAILURE_REASON_BUSY, f"{name} is held by deployment D-0"
        return answer

    def ListPartitionStates(self, request: Any, context: Any) -> Any:
        wanted = set(expand(request.nodes)) if request.nodes else set()
        rows = [row for row in self.partitions if not wanted or row.node in wanted]
        page, token = paged(rows, lambda row: f"{row.node} {row.device} {row.partition}", request, request.nodes)
        return deployer_service_pb2.ListPartitionStatesResponse(partitions=page, next_page_token=token)


def _final(names: Sequence[str], alive: Sequence[str]) -> "deployment_pb2.DeploymentState.ValueType":
    if len(names) == len(alive):
        return deployment_pb2.DEPLOYMENT_STATE_TERMINATED
    return deployment_pb2.DEPLOYMENT_STATE_ERROR
