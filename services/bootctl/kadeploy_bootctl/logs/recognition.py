"""What a line of a log says: dnsmasq, ISC dhcpd and Kea; tftpd-hpa, atftpd and dnsmasq's TFTP; the common log format.

A line that says nothing of a boot is none of ours. Unknown lines are passed over.
"""

import re
from collections.abc import Callable
from datetime import datetime

from kadeploy_bootctl.domain.boot_log import BootLogKind, BootLogRecord
from kadeploy_bootctl.logs.line_time import line_time

_MAC = re.compile(r"\b[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}\b")
_IP = r"(\d{1,3}(?:\.\d{1,3}){3})"
_NO_ADDRESS = re.compile(
    r"no address available|ignored|no free leases|not available|unknown network|wrong", re.IGNORECASE
)

_DHCP: tuple[tuple["re.Pattern[str]", BootLogKind], ...] = (
    (re.compile(r"DHCPNAK|DHCP4_PACKET_NAK|DHCP4_LEASE_QUERY_FAIL|_ALLOC_FAIL"), BootLogKind.DHCP_REFUSAL),
    (re.compile(r"DHCPACK|DHCP4_LEASE_ALLOC|DHCP4_LEASE_REUSE"), BootLogKind.DHCP_LEASE),
    (re.compile(r"DHCPOFFER|DHCP4_LEASE_(?:OFFER|ADVERT)"), BootLogKind.DHCP_OFFER),
    (re.compile(r"DHCPDISCOVER|DHCPREQUEST"), BootLogKind.DHCP_REQUEST),
)
_ADDRESS = re.compile(rf"(?:DHCP\w+\([^)]*\)|\bon|\bfor|\blease) {_IP}\b")

_FILES: tuple[tuple["re.Pattern[str]", BootLogKind], ...] = (
    (re.compile(rf"\bRRQ from (?P<ip>{_IP[1:-1]}) filename (?P<file>\S+)"), BootLogKind.FILE_SENT),
    (re.compile(rf"\bsending NAK \(\d+, (?P<file>[^)]*)\) to (?P<ip>{_IP[1:-1]})"), BootLogKind.FILE_MISSING),
    (re.compile(rf"\bServing (?P<file>\S+) to (?P<ip>{_IP[1:-1]})"), BootLogKind.FILE_SENT),
    (re.compile(rf"\bsent (?P<file>/\S+) to (?P<ip>{_IP[1:-1]})"), BootLogKind.FILE_SENT),
    (re.compile(rf"\bfile (?P<file>/\S+) not found for (?P<ip>{_IP[1:-1]})"), BootLogKind.FILE_MISSING),
    (re.compile(rf"\bfailed sending (?P<file>/\S+) to (?P<ip>{_IP[1:-1]})"), BootLogKind.FILE_FAILED),
)
_WEB = re.compile(rf'^(?P<ip>{_IP[1:-1]}) .*?"(?:GET|HEAD) (?P<file>\S+)[^"]*" (?P<status>\d{{3}})\b')
_OK, _MISSING = ("200", "206", "304"), ("404", "410")
_NAK = "sending NAK"
_PAIR_SECONDS = 10.0


def make_reader(source: str, *, now: datetime) -> Callable[[str], BootLogRecord | None]:
    """Returns what reads the lines of one log, in order. `source`: its path."""
    asked: dict[str, BootLogRecord] = {}

    def read(line: str) -> BootLogRecord | None:
        time = line_time(line, now=now)
        if time is None:
            return None
        found = _file_record(line, time, source) or _dhcp_record(line, time, source)
        if found is None:
            return None
        if _NAK in line:
            # tftpd-hpa names the file in the line before alone.
            before = asked.get(found.ip_address)
            if before is not None and (time - before.time).total_seconds() <= _PAIR_SECONDS:
                return _replaced(found, f"{before.detail}: {found.detail}")
        elif found.kind is BootLogKind.FILE_SENT:
            asked[found.ip_address] = found
        return found

    return read


def _replaced(record: BootLogRecord, detail: str) -> BootLogRecord:
    return BootLogRecord(
        time=record.time, kind=record.kind, ip_address=record.ip_address, detail=detail, source=record.source
    )


def _dhcp_record(line: str, time: datetime, source: str) -> BootLogRecord | None:
    mac = _MAC.search(line)
    if mac is None:
        return None
    for pattern, kind in _DHCP:
        word = pattern.search(line)
        if word is None:
            continue
        refused = kind is BootLogKind.DHCP_REQUEST and _NO_ADDRESS.search(line)
        address = _ADDRESS.search(line, word.start())
        return BootLogRecord(
            time=time,
            kind=BootLogKind.DHCP_REFUSAL if refused else kind,
            mac_address=mac.group().lower(),
            ip_address=address.group(1) if address else "",
            detail=line[word.start() :].strip()[:200],
            source=source,
        )
    return None


def _file_record(line: str, time: datetime, source: str) -> BootLogRecord | None:
    if web := _WEB.match(line):
        status = web.group("status")
        kind = BootLogKind.FILE_SENT if status in _OK else BootLogKind.FILE_FAILED
        kind = BootLogKind.FILE_MISSING if status in _MISSING else kind
        said = "" if kind is BootLogKind.FILE_SENT else f": HTTP status {status}"
        detail = web.group("file")[:200] + said
        return BootLogRecord(time=time, kind=kind, ip_address=web.group("ip"), detail=detail, source=source)
    for pattern, kind in _FILES:
        if found := pattern.search(line):
            detail = found.group("file")[:200]
            return BootLogRecord(time=time, kind=kind, ip_address=found.group("ip"), detail=detail, source=source)
    return None
