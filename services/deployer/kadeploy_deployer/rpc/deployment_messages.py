"""Messages of deployments to domain values and back. Pure."""

import math
from enum import StrEnum
from typing import TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_event_pb2, deployment_pb2
from kadeploy_deployer.domain.deployment import Deployment, NodeDeployment
from kadeploy_deployer.domain.errors import InvalidDeployment
from kadeploy_deployer.domain.events import (
    DeploymentStateChanged,
    Event,
    PartitionStateChanged,
    Remark,
    StepEnded,
    StepProgressed,
    StepStarted,
)
from kadeploy_deployer.domain.snapshot import CloudInitSeed, DeploymentSpec, EnvironmentSnapshot
from kadeploy_deployer.domain.states import BootMethod, BusyPolicy, DeploymentState, FailureReason, PartitionState
from kadeploy_deployer.engine.event_log import Heartbeat
from kadeploy_deployer.requests.plan import NodePlan
from kadeploy_edge.errors import FieldViolation

_Word = TypeVar("_Word", bound=StrEnum)


def timestamp(seconds: float | None) -> Timestamp | None:
    """Returns a time as a Timestamp; None stays absent."""
    if seconds is None:
        return None
    message = Timestamp()
    _set_time(message, seconds)
    return message


def _set_time(message: Timestamp, seconds: float) -> None:
    microseconds = round(seconds * 1e6)
    message.seconds, message.nanos = microseconds // 1_000_000, microseconds % 1_000_000 * 1000


def duration(seconds: float) -> Duration:
    """Returns a span as a Duration."""
    message = Duration()
    message.FromMicroseconds(round(max(seconds, 0.0) * 1e6))
    return message


def deployment_state(state: DeploymentState) -> "deployment_pb2.DeploymentState.ValueType":
    """Returns the enum value of a state."""
    return deployment_pb2.DeploymentState.Value(f"DEPLOYMENT_STATE_{state.upper()}")


def partition_state(state: PartitionState | None) -> "deployment_pb2.PartitionState.ValueType":
    """Returns the enum value of a state. A node that was left out is shown as in error: it will not be deployed."""
    return deployment_pb2.PartitionState.Value(f"PARTITION_STATE_{(state or PartitionState.ERROR).upper()}")


def failure_reason(reason: FailureReason | str | None) -> "deployment_pb2.FailureReason.ValueType":
    """Returns the enum value of a reason; unspecified for none."""
    return deployment_pb2.FailureReason.Value(f"FAILURE_REASON_{(reason or 'unspecified').upper()}")


def read_state(value: "deployment_pb2.DeploymentState.ValueType") -> DeploymentState:
    """Returns the state of an enum value, or raises InvalidDeployment."""
    return _word(
        value, deployment_pb2.DeploymentState.DESCRIPTOR, "DEPLOYMENT_STATE_", DeploymentState, "filter.states"
    )


def _word(value: int, descriptor: "object", prefix: str, words: type[_Word], field: str) -> _Word:
    found = descriptor.values_by_number.get(value)  # type: ignore[attr-defined]
    try:
        return words(found.name.removeprefix(prefix).lower() if found else "")
    except ValueError:
        text = f"{value} is none of: {', '.join(words)}"
        raise InvalidDeployment([FieldViolation(field=field, description=text)]) from None


def _seconds(message: Duration, field: str) -> float:
    seconds = message.seconds + message.nanos / 1e9
    if not math.isfinite(seconds) or seconds < 0:
        raise InvalidDeployment([FieldViolation(field=field, description="must not be negative")])
    return seconds


def read_spec(message: deployment_pb2.DeploymentSpec) -> DeploymentSpec:
    """Returns what the user asked for, or raises InvalidDeployment."""
    return DeploymentSpec(
        nodes=message.nodes,
        environment_name=message.environment_name,
        environment_version=message.environment_version if message.HasField("environment_version") else None,
        environment_owner=message.environment_owner,
        device=message.device,
        partition=message.partition,
        busy_policy=_word(
            message.busy_policy or deployment_pb2.BUSY_POLICY_EXCLUDE,
            deployment_pb2.BusyPolicy.DESCRIPTOR,
            "BUSY_POLICY_",
            BusyPolicy,
            "spec.busy_policy",
        ),
        wait_timeout=_seconds(message.wait_timeout, "spec.wait_timeout"),
        write_partition_table=message.write_partition_table,
        reformat_tmp=message.reformat_tmp,
        boot_method=read_boot_method(message.boot_method, "spec.boot_method"),
        use_production_system=message.use_production_system,
        authorized_keys=tuple(message.authorized_keys),
        kernel_arguments=message.kernel_arguments,
        first_check_timeout=_seconds(message.first_check_timeout, "spec.first_check_timeout")
        if message.HasField("first_check_timeout")
        else None,
        last_check_timeout=_seconds(message.last_check_timeout, "spec.last_check_timeout")
        if message.HasField("last_check_timeout")
        else None,
        user=message.user,
        whole_disk=message.whole_disk,
        cloud_init=CloudInitSeed(
            user_data=message.cloud_init.user_data,
            meta_data=message.cloud_init.meta_data,
            network_config=message.cloud_init.network_config,
        )
        if message.HasField("cloud_init")
        else None,
    )


def read_described(message: deployment_pb2.DeploymentSpec) -> bytes:
    """Returns the environment that a request describes, in the inventory's form; empty where it describes none."""
    if not message.HasField("described_environment"):
        return b""
    return message.described_environment.SerializeToString(deterministic=True)


def read_boot_method(value: "deployment_pb2.BootMethod.ValueType", field: str) -> BootMethod | None:
    """Returns how the new system is to be booted, None when nothing was said; or raises InvalidDeployment."""
    return _word(value, deployment_pb2.BootMethod.DESCRIPTOR, "BOOT_METHOD_", BootMethod, field) if value else None


def spec_message(spec: DeploymentSpec) -> deployment_pb2.DeploymentSpec:
    """Returns a request as it was made."""
    return deployment_pb2.DeploymentSpec(
        nodes=spec.nodes,
        environment_name=spec.environment_name,
        environment_version=spec.environment_version,
        environment_owner=spec.environment_owner,
        device=spec.device,
        partition=spec.partition,
        busy_policy=deployment_pb2.BusyPolicy.Value(f"BUSY_POLICY_{spec.busy_policy.upper()}"),
        wait_timeout=duration(spec.wait_timeout) if spec.wait_timeout else None,
        write_partition_table=spec.write_partition_table,
        reformat_tmp=spec.reformat_tmp,
        boot_method=deployment_pb2.BootMethod.Value(f"BOOT_METHOD_{(spec.boot_method or 'unspecified').upper()}"),
        use_production_system=spec.use_production_system,
        authorized_keys=spec.authorized_keys,
        kernel_arguments=spec.kernel_arguments,
        first_check_timeout=None if spec.first_check_timeout is None else duration(spec.first_check_timeout),
        last_check_timeout=None if spec.last_check_timeout is None else duration(spec.last_check_timeout),
        user=spec.user,
        whole_disk=spec.whole_disk,
        cloud_init=None
        if spec.cloud_init is None
        else deployment_pb2.CloudInitSeed(
            user_data=spec.cloud_init.user_data,
            meta_data=spec.cloud_init.meta_data,
            network_config=spec.cloud_init.network_config,
        ),
    )


def environment_message(environment: EnvironmentSnapshot) -> deployment_pb2.ResolvedEnvironment:
    """Returns an environment as it stood."""
    return deployment_pb2.ResolvedEnvironment(
        name=environment.name,
        version=environment.version,
        owner=environment.owner,
        image_digest=environment.image.digest,
        image_size_bytes=environment.image.size_bytes,
        described=environment.described,
    )


def deployment_message(deployment: Deployment) -> deployment_pb2.Deployment:
    """Returns a deployment with the nodes that it was read with."""
    message = deployment_pb2.Deployment(
        id=deployment.id,
        state=deployment_state(deployment.state),
        owner=deployment.owner,
        spec=spec_message(deployment.spec),
        environment=environment_message(deployment.environment),
        create_time=timestamp(deployment.create_time),
        start_time=timestamp(deployment.start_time),
        end_time=timestamp(deployment.end_time),
        description=deployment.description,
        etag=str(deployment.version),
        driver=deployment.driver,
    )
    # Of thousands of nodes that are in no step, most are described alike: all but the name is written once.
    alike: dict[tuple[object, ...], deployment_pb2.NodeDeployment] = {}
    for node in deployment.nodes:
        described = _node_message(node, alike)
        described.node = node.node
        message.nodes.append(described)
    return message


def _node_message(
    node: NodeDeployment, alike: dict[tuple[object, ...], deployment_pb2.NodeDeployment]
) -> deployment_pb2.NodeDeployment:
    """Returns the description of a node, but for its name."""
    key = (node.state, node.device, node.partition, node.start_time, node.end_time, node.reason, node.description)
    if (known := alike.get(key)) is None:
        known = alike[key] = _standing_message(node)
    if not node.step:
        return known
    message = deployment_pb2.NodeDeployment()
    message.CopyFrom(known)
    _tell_progress(message, node)
    return message


def _standing_message(node: NodeDeployment) -> deployment_pb2.NodeDeployment:
    message = deployment_pb2.NodeDeployment(
        state=_PARTITION_STATES[node.state], device=node.device, partition=node.partition
    )
    if node.start_time is not None:
        _set_time(message.start_time, node.start_time)
    if node.end_time is not None:
        _set_time(message.end_time, node.end_time)
    if node.reason is not None:
        message.reason, message.description = failure_reason(node.reason), node.description
    return message


def _tell_progress(message: deployment_pb2.NodeDeployment, node: NodeDeployment) -> None:
    facts = node.facts
    message.step, message.attempt = node.step, node.attempt
    message.image_digest = facts.image_digest
    message.deployment_boot_id, message.boot_id = facts.deployment_boot_id, facts.boot_id
    message.root_device, message.kernel_command_line = facts.root_device, facts.kernel_command_line
    message.host_keys.extend(facts.host_keys)
    for record in node.steps:
        message.step_durations.add(step=record.step, duration=duration(record.seconds), attempts=record.attempts)


_PARTITION_STATES = {state: partition_state(state) for state in (None, *PartitionState)}


def plan_message(plan: NodePlan) -> deployment_pb2.NodePlan:
    """Returns what would be done to a node."""
    return deployment_pb2.NodePlan(
        node=plan.node,
        included=plan.obstacle is None,
        reason=failure_reason(plan.obstacle.reason if plan.obstacle else None),
        description=plan.obstacle.description if plan.obstacle else "",
        held_by=plan.held_by,
        steps=[
            deployment_pb2.PlannedStep(
                step=step.step,
                timeout=duration(step.policy.timeout),
                retries=step.policy.retries,
                actions=step.actions,
                files=[deployment_pb2.PlannedFile(path=file.path, text=file.text) for file in step.files],
            )
            for step in plan.steps
        ],
    )


def snapshot_message(deployment: Deployment) -> deployer_service_pb2.WatchDeploymentResponse:
    """Returns the first message of a watch."""
    snapshot = deployer_service_pb2.Snapshot(
        deployment=deployment_message(deployment), sequence=deployment.last_sequence
    )
    return deployer_service_pb2.WatchDeploymentResponse(snapshot=snapshot)


def watch_message(message: Event | Heartbeat) -> deployer_service_pb2.WatchDeploymentResponse:
    """Returns one message of a watch."""
    if isinstance(message, Heartbeat):
        heartbeat = deployer_service_pb2.Heartbeat(time=timestamp(message.time))
        return deployer_service_pb2.WatchDeploymentResponse(heartbeat=heartbeat)
    return deployer_service_pb2.WatchDeploymentResponse(event=event_message(message))


def event_message(event: Event) -> deployment_event_pb2.DeploymentEvent:
    """Returns an event."""
    message = deployment_event_pb2.DeploymentEvent(sequence=event.sequence, time=timestamp(event.time), node=event.node)
    match event.kind:
        case DeploymentStateChanged(state=state, description=text):
            message.deployment_state_changed.state = deployment_state(state)
            message.deployment_state_changed.description = text
        case PartitionStateChanged(state=changed, reason=reason, description=text):
            message.partition_state_changed.state = partition_state(changed)
            message.partition_state_changed.reason = failure_reason(reason)
            message.partition_state_changed.description = text
        case StepStarted(step=step, attempt=attempt):
            message.step_started.step = step
            message.step_started.attempt = attempt
        case StepProgressed(step=step, done=done, total=total):
            message.step_progressed.step = step
            message.step_progressed.done = done
            message.step_progressed.total = total
        case StepEnded(step=step, succeeded=succeeded, description=text):
            message.step_ended.step = step
            message.step_ended.succeeded = succeeded
            message.step_ended.description = text
        case Remark(text=text):
            message.remark.text = text
    return message
