"""Boot logs on the wire."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from kadeploy.bootctl.v1 import bootctl_service_pb2
from kadeploy_bootctl.app.boot_logs import MachineBootLog
from kadeploy_bootctl.domain.boot_log import BootLogKind
from kadeploy_bootctl.domain.errors import InvalidBootLogRequest

_KINDS = {kind: bootctl_service_pb2.BootLogKind.Value(f"BOOT_LOG_KIND_{kind.name}") for kind in BootLogKind}


def start_time(request: bootctl_service_pb2.GetBootLogRequest) -> datetime | None:
    """Returns since when records are wanted. Raises InvalidBootLogRequest."""
    if not request.HasField("start_time"):
        return None
    try:
        return request.start_time.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidBootLogRequest from error


def boot_log_message(log: MachineBootLog) -> bootctl_service_pb2.GetBootLogResponse:
    """Returns the log of one machine."""
    return bootctl_service_pb2.GetBootLogResponse(
        records=[
            bootctl_service_pb2.BootLogRecord(
                time=_timestamp(record.time), kind=_KINDS[record.kind], detail=record.detail, source=record.source
            )
            for record in log.records
        ],
        unanswered_mac_addresses=log.unanswered,
        sources=[bootctl_service_pb2.BootLogSource(path=source.path, problem=source.problem) for source in log.sources],
    )


def _timestamp(time: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(time.astimezone(UTC))
    return message
