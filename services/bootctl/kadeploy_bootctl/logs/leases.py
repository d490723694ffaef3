"""Lease files of ISC dhcpd and Kea: when each machine got its address. dnsmasq's say only when leases end."""

import re
from datetime import UTC, datetime, timedelta

from kadeploy_bootctl.domain.boot_log import BootLogKind, BootLogRecord

_LEASE = re.compile(r"lease (\d{1,3}(?:\.\d{1,3}){3}) \{")
_STARTS = re.compile(r"\s*starts (?:\d (\d{4}/\d\d/\d\d \d\d:\d\d:\d\d)|epoch (\d{1,11}));?")
_HARDWARE = re.compile(r"\s*hardware ethernet ([0-9a-fA-F:]{17});")
# address,hwaddr,client_id,valid_lifetime,expire,...
_KEA = re.compile(r"(\d{1,3}(?:\.\d{1,3}){3}),([0-9a-fA-F:]{17}),[^,]*,(\d{1,10}),(\d{1,11}),")


class LeaseReader:
    """Reads the lines of one file, in order. `source`: its path."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._address = ""
        self._time: datetime | None = None
        self._mac = ""

    def read(self, line: str) -> BootLogRecord | None:
        """Returns the lease that a line completes; None for any other line."""
        if kea := _KEA.match(line):
            address, mac, lifetime, expire = kea.groups()
            return self._record(address, mac, _epoch(int(expire)) - timedelta(seconds=int(lifetime)))
        if lease := _LEASE.match(line):
            self._address, self._time, self._mac = lease.group(1), None, ""
        elif starts := _STARTS.match(line):
            self._time = _starts(starts)
        elif hardware := _HARDWARE.match(line):
            self._mac = hardware.group(1)
        elif line.startswith("}") and self._address:
            address, self._address = self._address, ""
            if self._mac and self._time is not None:
                return self._record(address, self._mac, self._time)
        return None

    def _record(self, address: str, mac: str, time: datetime) -> BootLogRecord:
        return BootLogRecord(
            time=time,
            kind=BootLogKind.DHCP_LEASE,
            mac_address=mac.lower(),
            ip_address=address,
            detail=f"lease of {address}",
            source=self._source,
        )


def _starts(found: "re.Match[str]") -> datetime | None:
    day, seconds = found.groups()
    if seconds:
        return _epoch(int(seconds))
    try:
        return datetime.strptime(day, "%Y/%m/%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _epoch(seconds: int) -> datetime:
    """Returns a time that is at most the year 5138, as the patterns bound it."""
    return datetime.fromtimestamp(seconds, UTC)
