"""What commands print: a table, JSON, or names alone. Results go to stdout, all that is said on the way to stderr."""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC
from enum import StrEnum
from typing import Any, TypeVar

import click
from google.protobuf.timestamp_pb2 import Timestamp
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

MEBIBYTE = 1 << 20
_PARTS = re.compile(r"\d+|\D+")
UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")

_Thing = TypeVar("_Thing")


class Format(StrEnum):
    """The ways to print a result."""

    TABLE = "table"
    JSON = "json"
    NAME = "name"
    # What kadeploy calls a table.
    TEXT = "text"
    # One JSON document per line, as it happens: of commands that follow something.
    NDJSON = "ndjson"

    @property
    def for_programs(self) -> bool:
        """True when a program reads the result."""
        return self in (Format.JSON, Format.NDJSON)


def show(
    form: Format,
    *,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    data: Any,
    names: Iterable[str],
) -> None:
    """Prints one result in the form that was asked for."""
    if form is Format.NDJSON:
        click.echo(json.dumps(data, ensure_ascii=False))
    elif form is Format.JSON:
        show_json(data)
    elif form is Format.NAME:
        for name in names:
            click.echo(name)
    else:
        show_table(columns, rows)


def show_json(data: Any) -> None:
    """Prints data as one JSON document."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints rows under a heading; on a terminal long cells are folded, elsewhere every row is one line."""
    if not sys.stdout.isatty():
        for line in aligned([columns, *rows]):
            click.echo(line)
        return
    table = Table(box=SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(value)) for value in row))
    Console(file=sys.stdout, highlight=False).print(table)


def by_name(things: Iterable[_Thing], name: Callable[[_Thing], str]) -> list[_Thing]:
    """Returns things in the order in which people count their names: node-2 before node-10."""
    return sorted(
        things,
        key=lambda each: [
            (not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in _PARTS.findall(name(each))
        ],
    )


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Gives rows as lines whose columns stand below each other."""
    cells = [[printable(value).replace("\n", " ") for value in row] for row in rows]
    widths = [max(len(row[index]) for row in cells) for index in range(len(cells[0]))]
    for row in cells:
        padded = (value.ljust(width) for value, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()


def show_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Prints one thing as lines of `name: value`, leaving out what is empty."""
    kept = [(name, value) for name, value in fields if value]
    width = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        click.echo(f"{name + ':':<{width + 1}} {printable(value)}")


def say(text: str) -> None:
    """Tells the user something on the way, on stderr."""
    click.echo(printable(text), err=True)


def printable(text: str) -> str:
    """Returns text without anything that could move a terminal's cursor."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text)


def size(count: int) -> str:
    """Returns a number of bytes for people: "512 MiB", "1.5 GiB"."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(UNITS) - 1:  # noqa: PLR2004
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} {UNITS[unit]}" if value == int(value) else f"{value:.1f} {UNITS[unit]}"


def local_time(message: Timestamp) -> str:
    """Returns a time in the user's own zone; empty for none."""
    if not (message.seconds or message.nanos):
        return ""
    return message.ToDatetime(tzinfo=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def show_text(heading: str, text: str) -> None:
    """Prints a text of several lines under a heading, indented."""
    click.echo(printable(heading))
    for line in text.splitlines():
        click.echo(f"    {printable(line)}".rstrip())
