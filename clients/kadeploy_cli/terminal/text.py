"""Words, sizes and times as people read them."""

from datetime import UTC

from google.protobuf.timestamp_pb2 import Timestamp

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def printable(text: str) -> str:
    """Returns text without anything that could move a terminal's cursor."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text)


def size(count: int) -> str:
    """Returns a number of bytes for people: "512 MiB", "1.5 GiB"."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(UNITS) - 1:  # noqa: PLR2004
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} {UNITS[unit]}" if value == int(value) else f"{value:.1f} {UNITS[unit]}"


def size_in_bytes(text: str) -> float | None:
    """Returns the bytes that a text of `size` stands for; None for any other text."""
    number, _, unit = text.partition(" ")
    if unit not in UNITS:
        return None
    try:
        return float(number) * 1024.0 ** UNITS.index(unit)
    except ValueError:
        return None


def local_time(message: Timestamp) -> str:
    """Returns a time in the user's own zone; empty for none."""
    if not (message.seconds or message.nanos):
        return ""
    return message.ToDatetime(tzinfo=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
