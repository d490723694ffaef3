"""Tables of one line a row in 80 columns, whatever reads them: what does not fit is cut, which "…" shows.

With `--wide` or `--columns` the table is an ordinary one, and nothing is cut.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click
from rich.cells import cell_len, set_cell_size

from kadeploy_cli.terminal import tables
from kadeploy_cli.terminal.text import printable
from kadeploy_nodeset import natural_order

WIDTH = 80
_CUT = "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A heading, and how wide its cells are at most."""

    name: str
    most: int


def show_short(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Prints the rows under their headings, in the order that the command line asks for."""
    style, names = tables.chosen_style(), [column.name for column in columns]
    if style.wide or style.columns:
        tables.show_table(names, rows)
        return
    ordered = [rows[place] for place in tables.order(names, rows, style.sort)]
    for line in short_lines(columns, [names, *ordered]):
        click.echo(line)


def short_lines(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Gives each row as a line of at most 80 columns."""
    cells = [[_cut(value, column.most) for value, column in zip(row, columns, strict=True)] for row in rows]
    widths = [max(cell_len(row[index]) for row in cells) for index in range(len(columns))]
    for row in cells:
        padded = [set_cell_size(value, width) for value, width in zip(row, widths, strict=True)]
        yield (" " * tables.GAP).join(padded).rstrip()


def total(columns: Sequence[Column]) -> int:
    """Returns how wide a line becomes at most."""
    return sum(column.most for column in columns) + tables.GAP * (len(columns) - 1)


def without_domains(names: Sequence[str]) -> dict[str, str]:
    """Returns the first labels of host names where no two are alike, else the whole names."""
    short = {name: name.partition(".")[0] for name in names}
    return short if len(set(short.values())) == len(short) else {name: name for name in short}


def by_node(name: str) -> tuple[str, str]:
    """Returns a key by which nodes come as people count them."""
    return natural_order(name)


def _cut(text: str, most: int) -> str:
    line = printable(text).replace("\n", " ")
    return line if cell_len(line) <= most else set_cell_size(line, most - 1).rstrip() + _CUT
