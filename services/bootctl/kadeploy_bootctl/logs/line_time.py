"""The time of a line of a log: syslog's two forms, ISO, Kea's, and that of web servers."""

import re
from datetime import UTC, datetime, timedelta, timezone

_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.\d+)?(Z|[+-]\d\d:?\d\d)?")
_SYSLOG = re.compile(r"([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d) ")
_WEB = re.compile(r"\[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})\]")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FUTURE = timedelta(days=1)


def line_time(line: str, *, now: datetime) -> datetime | None:
    """Returns when a line was written; None if it does not say.

    Args:
        line: of a log.
        now: the present; syslog's short form has no year, and its times are of this host's zone.
    """
    try:
        if found := _ISO.match(line):
            return _with_zone([int(number) for number in found.groups()[:6]], found.group(7), now)
        if found := _SYSLOG.match(line):
            return _of_this_year(found, now)
        if found := _WEB.search(line):
            day, month, year, *clock = found.groups()[:6]
            numbers = [int(year), _MONTHS.index(month) + 1, int(day), *(int(part) for part in clock)]
            return _with_zone(numbers, found.group(7), now)
    except ValueError:
        # It looks like a time and is none: the 31st of February.
        return None
    return None


def _with_zone(numbers: list[int], zone: str | None, now: datetime) -> datetime:
    year, month, day, hour, minute, second = numbers
    if not zone:
        return datetime(year, month, day, hour, minute, second, tzinfo=now.astimezone().tzinfo)
    if zone == "Z":
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    return datetime(year, month, day, hour, minute, second, tzinfo=timezone(-offset if zone[0] == "-" else offset))


def _of_this_year(found: "re.Match[str]", now: datetime) -> datetime:
    local = now.astimezone()
    numbers = [_MONTHS.index(found.group(1)) + 1, *(int(part) for part in found.groups()[1:])]
    time = _with_zone([local.year, *numbers], None, now)
    # In January, December was last year's.
    return time if time <= local + _FUTURE else _with_zone([local.year - 1, *numbers], None, now)
