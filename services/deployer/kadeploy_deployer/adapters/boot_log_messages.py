"""bootctl's log of the boot of a machine, as the deployer reads it."""

from kadeploy.bootctl.v1 import bootctl_service_pb2
from kadeploy_deployer.domain.boot_diagnosis import BootRecord, BootSign
from kadeploy_deployer.ports.boot_watch import ServerLog

_SIGNS = {
    bootctl_service_pb2.BOOT_LOG_KIND_DHCP_REQUEST: BootSign.DHCP_REQUEST,
    bootctl_service_pb2.BOOT_LOG_KIND_DHCP_OFFER: BootSign.DHCP_OFFER,
    bootctl_service_pb2.BOOT_LOG_KIND_DHCP_LEASE: BootSign.DHCP_LEASE,
    bootctl_service_pb2.BOOT_LOG_KIND_DHCP_REFUSAL: BootSign.DHCP_REFUSAL,
    bootctl_service_pb2.BOOT_LOG_KIND_FILE_SENT: BootSign.FILE_SENT,
    bootctl_service_pb2.BOOT_LOG_KIND_FILE_MISSING: BootSign.FILE_MISSING,
    bootctl_service_pb2.BOOT_LOG_KIND_FILE_FAILED: BootSign.FILE_FAILED,
}


def server_log(answer: bootctl_service_pb2.GetBootLogResponse) -> ServerLog:
    """Returns what an answer says. Kinds of a newer bootctl are passed over."""
    return ServerLog(
        records=[
            BootRecord(
                time=record.time.ToNanoseconds() / 1e9,
                sign=_SIGNS[record.kind],
                detail=record.detail,
                source=record.source,
            )
            for record in answer.records
            if record.kind in _SIGNS
        ],
        unanswered=tuple(answer.unanswered_mac_addresses),
        sources=tuple(source.path for source in answer.sources if not source.problem),
        problems=tuple(
            f"the log {source.path} cannot be read: {source.problem}" for source in answer.sources if source.problem
        ),
    )
