"""What the servers of this host did for a machine that boots, as their logs have it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class BootLogKind(StrEnum):
    """The kinds of the contract."""

    DHCP_REQUEST = "dhcp_request"
    DHCP_OFFER = "dhcp_offer"
    DHCP_LEASE = "dhcp_lease"
    DHCP_REFUSAL = "dhcp_refusal"
    FILE_SENT = "file_sent"
    FILE_MISSING = "file_missing"
    FILE_FAILED = "file_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootLogRecord:
    """One thing that a server did.

    Attributes:
        time: when, with a time zone.
        kind: what.
        mac_address: of the machine, in small letters; empty where the line does not name it.
        ip_address: of the machine; empty where the line does not name it.
        detail: the file, or what the server said.
        source: the log file.
    """

    time: datetime
    kind: BootLogKind
    mac_address: str = ""
    ip_address: str = ""
    detail: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootLogSource:
    """A log file. `problem`: why it could not be read; empty if it was."""

    path: str
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootLog:
    """The records of all files, the oldest first."""

    records: tuple[BootLogRecord, ...]
    sources: tuple[BootLogSource, ...]
