"""DeploymentService: creating, planning, watching, cancelling."""

from __future__ import annotations  # grpc's contexts are generic for type checkers alone

from collections.abc import AsyncIterator
from typing import Any

import grpc
from typing_extensions import override

from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc, deployment_pb2
from kadeploy_deployer.domain.deployment import Deployment
from kadeploy_deployer.domain.errors import DeploymentNotFound
from kadeploy_deployer.domain.holder import is_operation
from kadeploy_deployer.engine.event_log import Snapshot
from kadeploy_deployer.ports.store_values import DeploymentFilter
from kadeploy_deployer.requests import deployments, plan
from kadeploy_deployer.requests.expansion import expand_aside
from kadeploy_deployer.requests.privacy import redact_deployment
from kadeploy_deployer.rpc.callers import Callers
from kadeploy_deployer.rpc.deployment_messages import (
    deployment_message,
    environment_message,
    plan_message,
    read_described,
    read_spec,
    read_state,
    snapshot_message,
    spec_message,
    watch_message,
)
from kadeploy_deployer.rpc.fingerprint import fingerprint
from kadeploy_deployer.rpc.parts import Parts
from kadeploy_edge import page_token
from kadeploy_edge.page import filled_page

Context = grpc.aio.ServicerContext[Any, Any]


class DeploymentServicer(deployer_service_pb2_grpc.DeploymentServiceServicer):
    """Answers for deployments."""

    def __init__(self, parts: Parts, callers: Callers) -> None:
        self._parts = parts
        self._callers = callers

    @override
    async def CreateDeployment(
        self, request: deployer_service_pb2.CreateDeploymentRequest, context: Context
    ) -> deployment_pb2.Deployment:
        deployment = await deployments.create_deployment(
            read_spec(request.spec),
            described=read_described(request.spec),
            request_id=request.request_id,
            fingerprint=fingerprint(request),
            actor=self._callers.actor(),
            inventory=self._parts.inventory,
            images=self._parts.runner_settings.ports.images,
            store=self._parts.store,
            supervisor=self._parts.supervisor,
            clock=self._parts.clock,
            longest_wait=self._parts.longest_wait,
        )
        return self._message(deployment)

    @override
    async def PlanDeployment(
        self, request: deployer_service_pb2.PlanDeploymentRequest, context: Context
    ) -> deployer_service_pb2.PlanDeploymentResponse:
        planned = await plan.plan_deployment(
            read_spec(request.spec),
            described=read_described(request.spec),
            actor=self._callers.actor(),
            inventory=self._parts.inventory,
            store=self._parts.store,
            settings=self._parts.runner_settings,
            longest_wait=self._parts.longest_wait,
        )
        return deployer_service_pb2.PlanDeploymentResponse(
            environment=environment_message(planned.environment),
            nodes=[plan_message(node) for node in planned.nodes],
            boot_method=spec_message(planned.spec).boot_method,
        )

    @override
    async def GetDeployment(
        self, request: deployer_service_pb2.GetDeploymentRequest, context: Context
    ) -> deployment_pb2.Deployment:
        return self._message(await self._parts.store.get(request.id))

    @override
    async def ListDeployments(
        self, request: deployer_service_pb2.ListDeploymentsRequest, context: Context
    ) -> deployer_service_pb2.ListDeploymentsResponse:
        wanted = DeploymentFilter(
            owner=request.filter.owner,
            states=tuple(read_state(state) for state in request.filter.states),
            nodes=await expand_aside(request.filter.nodes) if request.filter.nodes else (),
        )
        binding = f"deployments {request.filter.SerializeToString(deterministic=True).hex()}"
        key = page_token.decode(request.page_token, binding=binding)
        limit = page_token.page_size(request.page_size)
        after = None if key is None else (float.fromhex(str(key[0])), str(key[1]))
        rows = await self._parts.store.list_deployments(wanted, after=after, limit=limit + 1)
        page = filled_page(map(self._message, rows), limit=limit)
        response = deployer_service_pb2.ListDeploymentsResponse(deployments=page)
        if len(page) < len(rows):
            last = rows[len(page) - 1]
            response.next_page_token = page_token.encode((last.create_time.hex(), last.id), binding=binding)
        return response

    @override
    async def WatchDeployment(
        self, request: deployer_service_pb2.WatchDeploymentRequest, context: Context
    ) -> AsyncIterator[deployer_service_pb2.WatchDeploymentResponse]:
        actor = self._callers.actor()
        if is_operation(request.id):
            raise DeploymentNotFound(request.id)
        messages = self._parts.log.watch(
            request.id, after=request.after_sequence, store=self._parts.store, clock=self._parts.clock
        )
        async for message in messages:
            if not isinstance(message, Snapshot):
                yield watch_message(message)
            elif isinstance(message.deployment, Deployment):
                yield snapshot_message(redact_deployment(message.deployment, actor))

    @override
    async def CancelDeployment(
        self, request: deployer_service_pb2.CancelDeploymentRequest, context: Context
    ) -> deployment_pb2.Deployment:
        deployment = await deployments.cancel_deployment(
            request.id,
            reason=request.reason,
            actor=self._callers.actor(),
            store=self._parts.store,
            supervisor=self._parts.supervisor,
            clock=self._parts.clock,
        )
        return self._message(deployment)

    @override
    async def GetStepOutput(
        self, request: deployer_service_pb2.GetStepOutputRequest, context: Context
    ) -> deployer_service_pb2.GetStepOutputResponse:
        outputs = await deployments.step_outputs(
            request.id, request.node, request.step, actor=self._callers.actor(), store=self._parts.store
        )
        return deployer_service_pb2.GetStepOutputResponse(
            outputs=[
                deployer_service_pb2.StepOutput(
                    step=output.step, attempt=output.attempt, text=output.text, truncated=output.truncated
                )
                for output in outputs
            ]
        )

    def _message(self, deployment: Deployment) -> deployment_pb2.Deployment:
        """Returns a deployment as it is shown to whoever makes the call."""
        return deployment_message(redact_deployment(deployment, self._callers.actor()))
