"""The diagnosis of a node on the wire."""

from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy_deployer.domain.boot_diagnosis import BootPlace
from kadeploy_deployer.domain.states import PartitionState
from kadeploy_deployer.requests.diagnosis import NodeDiagnosis
from kadeploy_deployer.rpc.deployment_messages import failure_reason, partition_state, timestamp

_PLACES = {
    place: deployer_service_pb2.BootPlace.Value(
        "BOOT_PLACE_UNSPECIFIED" if place is BootPlace.UNKNOWN else f"BOOT_PLACE_{place.name}"
    )
    for place in BootPlace
}
_POWER = {
    None: deployer_service_pb2.POWER_STATE_UNSPECIFIED,
    True: deployer_service_pb2.POWER_STATE_ON,
    False: deployer_service_pb2.POWER_STATE_OFF,
}


def diagnosis_message(node: str, found: NodeDiagnosis) -> deployer_service_pb2.GetNodeDiagnosisResponse:
    """Returns what is known of a node."""
    message = deployer_service_pb2.GetNodeDiagnosisResponse(
        node=node,
        place=_PLACES[found.boot.place],
        description=found.boot.description,
        evidence=[
            deployer_service_pb2.BootEvidence(
                time=timestamp(record.time),
                text=f"{record.sign.replace('_', ' ')}: {record.detail}",
                source=record.source,
            )
            for record in found.boot.records
        ],
        start_time=timestamp(found.since),
        power_state=_POWER[found.powered],
        ssh=found.seen,
        answers=found.answers,
        problems=found.problems,
    )
    if found.deployment is not None:
        message.deployment_id = found.deployment.id
    if found.part is not None:
        state = found.part.state
        message.state = partition_state(state if isinstance(state, PartitionState) else None)
        message.step, message.failure = found.part.step, found.part.description
        message.reason = failure_reason(found.part.reason)
    return message
