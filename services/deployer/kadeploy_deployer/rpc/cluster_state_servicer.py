"""ClusterStateService: what the cluster looks like now."""

from __future__ import annotations  # grpc's contexts are generic for type checkers alone

import asyncio
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from typing_extensions import override

from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc
from kadeploy_deployer.domain.declaration import is_declaration
from kadeploy_deployer.domain.errors import InvalidInterval
from kadeploy_deployer.ports.store_values import Interval, PartitionStatus
from kadeploy_deployer.requests.declaration import declare_partitions
from kadeploy_deployer.requests.diagnosis import diagnose_node
from kadeploy_deployer.requests.expansion import expand_aside
from kadeploy_deployer.rpc.callers import Callers
from kadeploy_deployer.rpc.declaration_messages import declaration_message, read_declaration
from kadeploy_deployer.rpc.deployment_messages import (
    duration,
    environment_message,
    failure_reason,
    partition_state,
    timestamp,
)
from kadeploy_deployer.rpc.diagnosis_messages import diagnosis_message
from kadeploy_deployer.rpc.parts import Parts
from kadeploy_edge import page_token
from kadeploy_edge.errors import FieldViolation
from kadeploy_edge.page import filled_page

Context = grpc.aio.ServicerContext[Any, Any]


class ClusterStateServicer(deployer_service_pb2_grpc.ClusterStateServiceServicer):
    """Answers for partitions and nodes."""

    def __init__(self, parts: Parts, callers: Callers) -> None:
        self._store, self._parts, self._callers = parts.store, parts, callers

    @override
    async def ListPartitionStates(
        self, request: deployer_service_pb2.ListPartitionStatesRequest, context: Context
    ) -> deployer_service_pb2.ListPartitionStatesResponse:
        names = await expand_aside(request.nodes) if request.nodes else ()
        binding = f"partitions {request.nodes}"
        key = page_token.decode(request.page_token, binding=binding)
        limit = page_token.page_size(request.page_size)
        after = None if key is None else (str(key[0]), str(key[1]), int(key[2]))
        rows = await self._store.list_partitions(names, after=after, limit=limit + 1)
        page = filled_page(map(_partition, rows), limit=limit)
        response = deployer_service_pb2.ListPartitionStatesResponse(partitions=page)
        if len(page) < len(rows):
            last = rows[len(page) - 1]
            response.next_page_token = page_token.encode((last.node, last.device, last.partition), binding=binding)
        return response

    @override
    async def DeclarePartitions(
        self, request: deployer_service_pb2.DeclarePartitionsRequest, context: Context
    ) -> deployer_service_pb2.DeclarePartitionsResponse:
        done = await declare_partitions(
            read_declaration(request),
            actor=self._callers.actor(),
            inventory=self._parts.inventory,
            store=self._store,
            clock=self._parts.clock,
        )
        return deployer_service_pb2.DeclarePartitionsResponse(nodes=map(declaration_message, done))

    @override
    async def ListNodeStates(
        self, request: deployer_service_pb2.ListNodeStatesRequest, context: Context
    ) -> deployer_service_pb2.ListNodeStatesResponse:
        names = await expand_aside(request.nodes) if request.nodes else ()
        binding = f"nodes {request.nodes}"
        key = page_token.decode(request.page_token, binding=binding)
        limit = page_token.page_size(request.page_size)
        rows = await self._store.list_nodes(names, after=None if key is None else str(key[0]), limit=limit + 1)
        response = deployer_service_pb2.ListNodeStatesResponse(
            nodes=[
                deployer_service_pb2.NodeState(
                    node=row.node,
                    held_by=row.held_by,
                    held_by_user=row.held_by_user,
                    lock_time=timestamp(row.lock_time),
                    last_deployment_id=row.last_deployment_id,
                    step=row.step,
                    step_start_time=timestamp(row.step_start_time),
                )
                for row in rows[:limit]
            ]
        )
        if len(rows) > limit:
            response.next_page_token = page_token.encode((rows[limit - 1].node,), binding=binding)
        return response

    @override
    async def GetNodeDiagnosis(
        self, request: deployer_service_pb2.GetNodeDiagnosisRequest, context: Context
    ) -> deployer_service_pb2.GetNodeDiagnosisResponse:
        actor = self._callers.actor()
        found = await diagnose_node(
            request.node,
            actor=actor,
            parts=self._parts.control,
            store=self._store,
            deployment_host_keys=self._parts.runner_settings.deployment_host_keys,
        )
        return diagnosis_message(request.node, found)

    @override
    async def CheckHost(
        self, request: deployer_service_pb2.CheckHostRequest, context: Context
    ) -> deployer_service_pb2.CheckHostResponse:
        found = await asyncio.to_thread(self._parts.check_host)
        return deployer_service_pb2.CheckHostResponse(
            findings=[
                deployer_service_pb2.HostFinding(
                    subject=each.subject,
                    state=deployer_service_pb2.HostFindingState.Value(f"HOST_FINDING_STATE_{each.state.name}"),
                    description=each.description,
                    advice=each.advice,
                )
                for each in found
            ]
        )

    @override
    async def GetStatistics(
        self, request: deployer_service_pb2.GetStatisticsRequest, context: Context
    ) -> deployer_service_pb2.GetStatisticsResponse:
        interval = Interval(
            start=_seconds(request.start_time) if request.HasField("start_time") else None,
            end=_seconds(request.end_time) if request.HasField("end_time") else None,
        )
        if interval.start is not None and interval.end is not None and interval.end < interval.start:
            violation = FieldViolation(field="end_time", description="is before start_time")
            raise InvalidInterval("the interval ends before it begins", violations=(violation,))
        names = await expand_aside(request.nodes) if request.nodes else ()
        found = await self._store.statistics(interval, names)
        return deployer_service_pb2.GetStatisticsResponse(
            months=[
                deployer_service_pb2.MonthStatistics(
                    year=one.year,
                    month=one.month,
                    deployments=one.deployments,
                    failed_deployments=one.failed,
                    nodes=one.nodes,
                )
                for one in found.months
            ],
            nodes=[
                deployer_service_pb2.NodeStatistics(node=one.node, deployments=one.deployments, failures=one.failures)
                for one in found.nodes
            ],
            steps=[
                deployer_service_pb2.StepStatistics(
                    step=one.step,
                    count=one.count,
                    failures=one.failures,
                    median_duration=duration(one.median_seconds),
                    maximum_duration=duration(one.most_seconds),
                )
                for one in found.steps
            ],
        )


def _seconds(time: Timestamp) -> float:
    return time.seconds + time.nanos / 1e9


def _partition(row: PartitionStatus) -> deployer_service_pb2.PartitionStatus:
    return deployer_service_pb2.PartitionStatus(
        node=row.node,
        device=row.device,
        partition=row.partition,
        state=partition_state(row.state),
        environment=environment_message(row.environment),
        deployment_id="" if is_declaration(row.deployment_id) else row.deployment_id,
        declared=is_declaration(row.deployment_id),
        owner=row.owner,
        reason=failure_reason(row.reason),
        description=row.description,
        update_time=timestamp(row.update_time),
    )
