"""Where a boot broke, said of what the boot servers logged, the serial console showed and a login found. Pure.

A machine goes through places in a fixed order: power, DHCP, boot files, kernel, drivers, network, disk, ssh. The place
of a failure is the first one behind the last sign of life.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from time import gmtime, strftime

LINE_BYTES = 200


class BootPlace(StrEnum):
    """Where a boot breaks; the kinds of the contract."""

    UNKNOWN = "unknown"
    POWER = "power"
    DHCP_REQUEST = "dhcp_request"
    DHCP_ANSWER = "dhcp_answer"
    BOOT_LOADER = "boot_loader"
    BOOT_FILE = "boot_file"
    KERNEL = "kernel"
    KERNEL_PANIC = "kernel_panic"
    DRIVER = "driver"
    NETWORK = "network"
    DISK = "disk"
    SSH = "ssh"
    WRONG_SYSTEM = "wrong_system"


class BootSign(StrEnum):
    """What a record is a sign of."""

    DHCP_REQUEST = "dhcp_request"
    DHCP_OFFER = "dhcp_offer"
    DHCP_LEASE = "dhcp_lease"
    DHCP_REFUSAL = "dhcp_refusal"
    FILE_SENT = "file_sent"
    FILE_MISSING = "file_missing"
    FILE_FAILED = "file_failed"
    CONSOLE = "console"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootRecord:
    """One thing that happened. `time`: seconds since 1970; `source`: a log file, or "console"."""

    time: float
    sign: BootSign
    detail: str
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFacts:
    """What is known of one boot.

    Attributes:
        mac_address: of the machine, as it is registered.
        since: when the boot began.
        records: of the boot servers and the console, in any order.
        logs_read: whether a log of the boot servers could be read.
        unanswered: hardware addresses that asked for an address meanwhile and got none.
        powered: whether it has power; None if nobody knows.
        seen: what the last look by ssh found, as a clause.
        wrong: whether another system than the awaited one answers.
    """

    mac_address: str
    since: float
    records: Sequence[BootRecord] = ()
    logs_read: bool = False
    unanswered: Sequence[str] = ()
    powered: bool | None = None
    seen: str = ""
    wrong: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BootDiagnosis:
    """Where a boot broke. `description`: a clause; `records`: the evidence, the oldest first."""

    place: BootPlace = BootPlace.UNKNOWN
    description: str = ""
    records: Sequence[BootRecord] = field(default=())


_PANIC = re.compile(r"Kernel panic - not syncing: (.*)")
_KERNEL = re.compile(r"Linux version \S+|kadeploy: deployment environment starting")
_READY = re.compile(r"kadeploy: deployment environment ready")
_SAID = (
    (re.compile(r"kadeploy: (no driver for the .*)"), BootPlace.DRIVER),
    (re.compile(r"kadeploy: (a driver misses the firmware file .*)"), BootPlace.DRIVER),
    (re.compile(r"kadeploy: (no network card.*)"), BootPlace.DRIVER),
    (re.compile(r"kadeploy: (no (?:link|DHCP answer) on .*)"), BootPlace.NETWORK),
    (re.compile(r"kadeploy: (no network (?:after|yet).*)"), BootPlace.NETWORK),
    (re.compile(r"kadeploy: (no disk.*|there is still no disk.*)"), BootPlace.DISK),
    (re.compile(r"kadeploy: (sshd does not listen.*)"), BootPlace.SSH),
)
_LOADER: tuple["re.Pattern[str]", ...] = (
    re.compile(
        r"Unable to locate configuration file.*|Could not find kernel image.*|.*file .* not found.*", re.IGNORECASE
    ),
    re.compile(r"PXE-E\d\d.*|No bootable device.*|Boot failed.*|TFTP (?:open|read) timeout.*", re.IGNORECASE),
)
# The weightiest first: without a driver there is no network either.
_WEIGHT = (BootPlace.DRIVER, BootPlace.NETWORK, BootPlace.DISK, BootPlace.SSH)
_DHCP_GOOD = (BootSign.DHCP_OFFER, BootSign.DHCP_LEASE)
_FILES = (BootSign.FILE_SENT, BootSign.FILE_MISSING, BootSign.FILE_FAILED)
# Loaders ask for the configurations of many names until one is there.
_PROBING = ("pxelinux.cfg/", "grub.cfg", "ldlinux")


def diagnose(facts: BootFacts) -> BootDiagnosis:
    """Returns where a boot broke, with the last thing that happened and its time."""
    records = sorted((record for record in facts.records if record.time >= facts.since), key=lambda each: each.time)
    place, description = _place(facts, records)
    return BootDiagnosis(place=place, description=description, records=tuple(records))


def console_records(lines: Sequence[tuple[float, str]]) -> list[BootRecord]:
    """Returns those lines of a console that say something of a boot. `lines`: each with its time."""
    found = []
    for time, line in lines:
        text = line.strip()
        patterns = (_PANIC, _KERNEL, _READY, *(pattern for pattern, _ in _SAID), *_LOADER)
        if any(pattern.search(text) for pattern in patterns):
            found.append(BootRecord(time=time, sign=BootSign.CONSOLE, detail=text[:LINE_BYTES], source="console"))
    return found


def clock_time(time: float) -> str:
    """Returns a time for a sentence."""
    return strftime("%H:%M:%S UTC", gmtime(time))


def _place(facts: BootFacts, records: Sequence[BootRecord]) -> tuple[BootPlace, str]:
    console = [record for record in records if record.sign is BootSign.CONSOLE]
    servers = [record for record in records if record.sign is not BootSign.CONSOLE]
    if facts.wrong:
        return BootPlace.WRONG_SYSTEM, f"another system answers: {facts.seen}"
    if facts.powered is False:
        return BootPlace.POWER, "the machine has no power"
    return _by_console(console) or _by_servers(facts, servers, console) or _unknown(facts, console)


def _by_console(console: Sequence[BootRecord]) -> tuple[BootPlace, str] | None:
    """Judges by what the kernel and the deployment environment said since they began."""
    begin = max((number for number, each in enumerate(console) if _KERNEL.search(each.detail)), default=-1)
    said = console[begin + 1 :] if begin >= 0 else console
    for record in reversed(said):
        if panic := _PANIC.search(record.detail):
            return BootPlace.KERNEL_PANIC, f"the kernel panicked at {clock_time(record.time)}: {panic.group(1)}"
    if begin < 0:
        return None
    ready = next((record for record in reversed(said) if _READY.search(record.detail)), None)
    if ready is not None:
        text = f"the deployment environment was ready at {clock_time(ready.time)}, but does not answer on ssh"
        return BootPlace.SSH, text
    problems = [
        (place, record, found.group(1))
        for record in said
        for pattern, place in _SAID
        if (found := pattern.search(record.detail))
    ]
    for wanted in _WEIGHT:
        for place, record, text in reversed(problems):
            if place is wanted:
                return place, f"the deployment environment says at {clock_time(record.time)}: {text}"
    started = console[begin]
    return BootPlace.KERNEL, f"the kernel started at {clock_time(started.time)}, and nothing is known of it since"


def _by_servers(
    facts: BootFacts, servers: Sequence[BootRecord], console: Sequence[BootRecord]
) -> tuple[BootPlace, str] | None:
    """Judges by the last thing that the boot servers did for the machine."""
    files = [record for record in servers if record.sign in _FILES]
    dhcp = [record for record in servers if record.sign not in _FILES]
    if files:
        return _by_files(files, dhcp)
    answered = any(record.sign in _DHCP_GOOD for record in dhcp)
    # A firmware without an answer to DHCP says that it has nothing to boot from: the logs know why.
    if (answered or not facts.logs_read) and (said := _loader_line(console)):
        return BootPlace.BOOT_LOADER, f"the firmware or loader says at {clock_time(said.time)}: {said.detail}"
    if dhcp:
        last = dhcp[-1]
        if answered:
            good = next(record for record in reversed(dhcp) if record.sign in _DHCP_GOOD)
            text = f"it got an address at {clock_time(good.time)} and asked the boot servers for no file"
            return BootPlace.BOOT_LOADER, text
        why = f": {last.detail}" if last.sign is BootSign.DHCP_REFUSAL else ""
        text = f"it asked for an address, last at {clock_time(last.time)}, and the DHCP server offered none{why}"
        return BootPlace.DHCP_ANSWER, text
    return None


def _by_files(files: Sequence[BootRecord], dhcp: Sequence[BootRecord]) -> tuple[BootPlace, str]:
    last = files[-1]
    if last.sign is BootSign.FILE_MISSING:
        wanted = [record for record in files if not any(word in record.detail for word in _PROBING)]
        named = wanted[-1] if wanted and wanted[-1].sign is BootSign.FILE_MISSING else last
        return BootPlace.BOOT_FILE, f"it asked at {clock_time(named.time)} for a file that is not there: {named.detail}"
    if last.sign is BootSign.FILE_FAILED:
        return BootPlace.BOOT_FILE, f"a file could not be sent at {clock_time(last.time)}: {last.detail}"
    later = [record for record in dhcp if record.time > last.time]
    if any(record.sign in _DHCP_GOOD for record in later):
        text = f"its system got an address at {clock_time(later[-1].time)}, but does not answer on ssh"
        return BootPlace.SSH, text
    if later:
        text = f"its system asked for an address at {clock_time(later[-1].time)}, and the DHCP server offered none"
        return BootPlace.NETWORK, text
    text = f"the last file that it fetched is {last.detail}, at {clock_time(last.time)}; nothing is known of it since"
    return BootPlace.KERNEL, text


def _unknown(facts: BootFacts, console: Sequence[BootRecord]) -> tuple[BootPlace, str]:
    if not facts.logs_read:
        return BootPlace.UNKNOWN, ""
    text = f"no DHCP request of {facts.mac_address} came since {clock_time(facts.since)}"
    if facts.unanswered:
        others = ", ".join(list(facts.unanswered)[:3])
        text += f"; {others} asked and got no answer: is the registered address right?"
    if said := _loader_line(console):
        text += f"; the firmware says: {said.detail}"
    return BootPlace.DHCP_REQUEST, text


def _loader_line(console: Sequence[BootRecord]) -> BootRecord | None:
    """Returns the last thing that the firmware or loader said of its failure."""
    complaints = (record for record in reversed(console) if any(each.search(record.detail) for each in _LOADER))
    return next(complaints, None)
