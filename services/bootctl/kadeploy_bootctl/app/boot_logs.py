"""What is known of the boot of one machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from kadeploy_bootctl.app.ports import BootLogReader
from kadeploy_bootctl.domain.boot_log import BootLogKind, BootLogRecord, BootLogSource

MOST_RECORDS = 200
MOST_STRANGERS = 16
_ANSWERS = (BootLogKind.DHCP_OFFER, BootLogKind.DHCP_LEASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineBootLog:
    """The latest records of a machine, the oldest first.

    Attributes:
        records: of the machine.
        unanswered: hardware addresses that asked the DHCP server since then and got no answer.
        sources: the log files.
    """

    records: Sequence[BootLogRecord]
    unanswered: Sequence[str]
    sources: Sequence[BootLogSource]


def get_boot_log(mac_address: str, ip_address: str, *, since: datetime | None, logs: BootLogReader) -> MachineBootLog:
    """Returns what the servers did for a machine since a moment; without one, as far back as the logs go."""
    log = logs.read()
    mac = mac_address.lower()
    late = [record for record in log.records if since is None or record.time >= since]
    mine = [record for record in late if _is_of(record, mac, ip_address)]
    asked = dict.fromkeys(record.mac_address for record in late if record.mac_address)
    answered = {record.mac_address for record in late if record.kind in _ANSWERS}
    strangers = [each for each in asked if each not in answered and each != mac]
    return MachineBootLog(records=mine[-MOST_RECORDS:], unanswered=strangers[-MOST_STRANGERS:], sources=log.sources)


def _is_of(record: BootLogRecord, mac: str, ip_address: str) -> bool:
    if record.mac_address:
        return record.mac_address == mac
    return bool(ip_address) and record.ip_address == ip_address
