"""Messages of what is done to nodes outside of deployments, to domain values and back. Pure."""

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy_deployer.domain.control_errors import InvalidControl
from kadeploy_deployer.domain.operation import DeployedEnvironment, DeployedPartition, DeploymentKernel, RebootSpec
from kadeploy_deployer.domain.states import BootMethod, PowerAction, RebootLevel
from kadeploy_deployer.requests.operations import OperationRequest, RequestName
from kadeploy_deployer.requests.remote_command import CommandEnd, CommandOutput
from kadeploy_deployer.rpc.fingerprint import fingerprint
from kadeploy_edge.errors import DomainError
from kadeploy_edge.status import ok_status, to_status

DOMAIN = "deployer.kadeploy"

_LEVELS = {
    deployer_service_pb2.CONTROL_LEVEL_UNSPECIFIED: None,
    deployer_service_pb2.CONTROL_LEVEL_SOFT: RebootLevel.SOFT,
    deployer_service_pb2.CONTROL_LEVEL_HARD: RebootLevel.HARD,
    deployer_service_pb2.CONTROL_LEVEL_VERY_HARD: RebootLevel.VERY_HARD,
}
_BOOT_METHODS = {
    deployment_pb2.BOOT_METHOD_UNSPECIFIED: None,
    deployment_pb2.BOOT_METHOD_NETWORK: BootMethod.NETWORK,
    deployment_pb2.BOOT_METHOD_GRUB: BootMethod.GRUB,
    deployment_pb2.BOOT_METHOD_CHAINLOAD: BootMethod.CHAINLOAD,
    deployment_pb2.BOOT_METHOD_KEXEC: BootMethod.KEXEC,
}
_ACTIONS = {
    deployer_service_pb2.POWER_ACTION_ON: PowerAction.ON,
    deployer_service_pb2.POWER_ACTION_OFF: PowerAction.OFF,
    deployer_service_pb2.POWER_ACTION_CYCLE: PowerAction.CYCLE,
}
_POWER = {
    True: deployer_service_pb2.POWER_STATE_ON,
    False: deployer_service_pb2.POWER_STATE_OFF,
    None: deployer_service_pb2.POWER_STATE_UNSPECIFIED,
}


def read_request(
    request: deployer_service_pb2.RebootNodesRequest | deployer_service_pb2.SetPowerRequest, owner: str
) -> OperationRequest:
    """Returns how an operation is asked for, or raises InvalidControl."""
    if not request.request_id:
        return OperationRequest(owner=owner)
    name = RequestName(owner=owner, request_id=request.request_id, fingerprint=fingerprint(request))
    return OperationRequest(owner=owner, name=name)


def must_be_named(request: OperationRequest) -> OperationRequest:
    """Returns the request of an operation that outlives its call, or raises InvalidControl."""
    if request.name is None:
        raise InvalidControl("request_id", "is needed for a detached operation")
    return request


def read_level(level: "deployer_service_pb2.ControlLevel.ValueType") -> RebootLevel | None:
    """Returns a level, None for the cluster's own way, or raises InvalidControl."""
    if level not in _LEVELS:
        raise InvalidControl("level", f"is unknown: {level}")
    return _LEVELS[level]


def read_action(action: "deployer_service_pb2.PowerAction.ValueType") -> PowerAction:
    """Returns a power action, or raises InvalidControl."""
    if action not in _ACTIONS:
        raise InvalidControl("action", "must be on, off or cycle")
    return _ACTIONS[action]


def read_reboot(request: deployer_service_pb2.RebootNodesRequest) -> RebootSpec:
    """Returns what a request for a reboot asks for, or raises InvalidControl."""
    kernel, environment, partition = _target(request)
    return RebootSpec(
        kernel=kernel,
        environment=environment,
        partition=partition,
        level=read_level(request.level),
        prepare_only=request.prepare_only,
        kernel_arguments=request.kernel_arguments,
        boot_method=_boot_method(request.boot_method),
    )


def _boot_method(value: "deployment_pb2.BootMethod.ValueType") -> BootMethod | None:
    if value not in _BOOT_METHODS:
        raise InvalidControl("boot_method", f"is unknown: {value}")
    return _BOOT_METHODS[value]


def _target(
    request: deployer_service_pb2.RebootNodesRequest,
) -> tuple[DeploymentKernel | None, DeployedEnvironment | None, DeployedPartition | None]:
    """Returns the one that is named; none is: what the nodes' present entries say."""
    match request.WhichOneof("target"):
        case "simple":
            return None, None, None
        case "deployment_kernel":
            return DeploymentKernel(label=request.deployment_kernel.label), None, None
        case "environment":
            named = request.environment
            version = named.version if named.HasField("version") else None
            return None, DeployedEnvironment(name=named.name, version=version, owner=named.owner), None
        case "partition":
            if request.partition.partition < 0 or "/" in request.partition.device:
                raise InvalidControl("partition", "must be a positive number, its device without a slash")
            device, number = request.partition.device, request.partition.partition
            return None, None, DeployedPartition(device=device, partition=number)
        case _:
            raise InvalidControl("target", "says nothing of what is to be booted")


def node_result(node: str, error: DomainError | None) -> deployer_service_pb2.NodeResult:
    """Returns what became of a node."""
    status = ok_status() if error is None else to_status(error, domain=DOMAIN)
    return deployer_service_pb2.NodeResult(node=node, status=status)


def node_power(node: str, power: bool | DomainError | None) -> deployer_service_pb2.NodePower:
    """Returns the power of a node, or why it is not known."""
    if isinstance(power, DomainError):
        return deployer_service_pb2.NodePower(node=node, status=to_status(power, domain=DOMAIN))
    return deployer_service_pb2.NodePower(node=node, status=ok_status(), state=_POWER[power])


def command_message(part: CommandOutput | CommandEnd) -> deployer_service_pb2.RunCommandResponse:
    """Returns a part of a command's output, or its end."""
    if isinstance(part, CommandOutput):
        if part.is_error:
            return deployer_service_pb2.RunCommandResponse(node=part.node, error_output=part.content)
        return deployer_service_pb2.RunCommandResponse(node=part.node, output=part.content)
    status = ok_status() if part.error is None else to_status(part.error, domain=DOMAIN)
    ended = deployer_service_pb2.CommandEnded(status=status, exit_status=part.exit_status)
    return deployer_service_pb2.RunCommandResponse(node=part.node, ended=ended)
