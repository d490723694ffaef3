"""Messages of declarations to domain values and back. Pure."""

from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy_deployer.domain.control_errors import InvalidControl
from kadeploy_deployer.domain.declaration import DeclarationRequest
from kadeploy_deployer.domain.errors import InvalidDeployment
from kadeploy_deployer.domain.snapshot import DeploymentSpec
from kadeploy_deployer.requests.declaration import DeclaredNode
from kadeploy_deployer.rpc.deployment_messages import failure_reason, read_boot_method


def read_declaration(message: deployer_service_pb2.DeclarePartitionsRequest) -> DeclarationRequest:
    """Returns what is to be declared, or raises InvalidControl."""
    if message.partition < 0 or "/" in message.device:
        raise InvalidControl("device", 'is written without "/dev/", and the partition\'s number is positive')
    if message.HasField("environment_version") and message.environment_version < 1:
        raise InvalidControl("environment_version", "must be positive")
    try:
        method = read_boot_method(message.boot_method, "boot_method")
    except InvalidDeployment as error:
        raise InvalidControl("boot_method", "is none that is known") from error
    return DeclarationRequest(
        spec=DeploymentSpec(
            nodes=message.nodes,
            environment_name=message.environment_name,
            environment_version=message.environment_version if message.HasField("environment_version") else None,
            environment_owner=message.environment_owner,
            device=message.device,
            partition=message.partition,
            boot_method=method,
            kernel_arguments=message.kernel_arguments,
        ),
        host_keys={each.node: tuple(each.keys) for each in message.host_keys},
        empty=message.empty,
    )


def declaration_message(done: DeclaredNode) -> deployer_service_pb2.NodeDeclaration:
    """Returns the wire's form of what became of a node's part."""
    refusal = done.refusal
    return deployer_service_pb2.NodeDeclaration(
        node=done.node,
        device=done.device,
        partition=done.partition,
        reason=failure_reason(refusal.reason if refusal else None),
        description=refusal.description if refusal else "",
    )
