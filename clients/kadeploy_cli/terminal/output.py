"""What commands print: a table, JSON, or names alone. Results go to stdout, all that is said on the way to stderr."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any, TypeVar

import click

from kadeploy_cli.terminal import tables
from kadeploy_cli.terminal.tables import aligned, show_table
from kadeploy_cli.terminal.text import UNITS, local_time, printable, size

MEBIBYTE = 1 << 20
_PARTS = re.compile(r"\d+|\D+")

__all__ = [
    "MEBIBYTE",
    "UNITS",
    "Format",
    "aligned",
    "by_name",
    "local_time",
    "printable",
    "say",
    "show",
    "show_fields",
    "show_json",
    "show_table",
    "show_text",
    "size",
]

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


def show_id(form: Format, name: str, data: Any) -> None:
    """Prints the id of what was begun: alone on its line, so that a script takes it as it is."""
    show(Format.NAME if form is Format.TABLE else form, columns=(), rows=(), data=data, names=[name])


def first(things: Iterable[_Thing], limit: int) -> list[_Thing]:
    """Returns the first of many things, and says when there are more."""
    found: list[_Thing] = []
    for thing in things:
        if len(found) == limit:
            say(f"the latest {limit} are shown; --limit N shows more")
            break
        found.append(thing)
    return found


def show(
    form: Format,
    *,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    data: Any,
    names: Iterable[str],
    least: Sequence[str] = (),
) -> None:
    """Prints one result in the form that was asked for, sorted as the command line says.

    Args:
        form: how.
        columns: the headings of the table.
        rows: its cells.
        data: the same for programs; of a list, an item for each row.
        names: the same as names alone, one for each row.
        least: columns that are left out first where there is no room.
    """
    rows, wanted = list(rows), tables.chosen_style().sort
    if wanted:
        names = list(names)
        places = tables.order(columns, rows, wanted)
        data = [data[place] for place in places] if isinstance(data, list) and len(data) == len(rows) else data
        names = [names[place] for place in places] if len(names) == len(rows) else names
    if form is Format.NDJSON:
        click.echo(json.dumps(data, ensure_ascii=False))
    elif form is Format.JSON:
        show_json(data)
    elif form is Format.NAME:
        for name in names:
            click.echo(name)
    else:
        show_table(columns, rows, least=least)


def show_json(data: Any) -> None:
    """Prints data as one JSON document."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def by_name(things: Iterable[_Thing], name: Callable[[_Thing], str]) -> list[_Thing]:
    """Returns things in the order in which people count their names: node-2 before node-10."""
    return sorted(
        things,
        key=lambda each: [
            (not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in _PARTS.findall(name(each))
        ],
    )


def show_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Prints one thing as lines of `name: value`, leaving out what is empty."""
    kept = [(name, value) for name, value in fields if value]
    width = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        click.echo(f"{name + ':':<{width + 1}} {printable(value)}")


def say(text: str) -> None:
    """Tells the user something on the way, on stderr."""
    click.echo(printable(text), err=True)


def show_text(heading: str, text: str) -> None:
    """Prints a text of several lines under a heading, indented."""
    click.echo(printable(heading))
    for line in text.splitlines():
        click.echo(f"    {printable(line)}".rstrip())


def show_document(text: str) -> None:
    """Prints a text of several lines as it is, for a file."""
    for line in text.splitlines():
        click.echo(printable(line))
