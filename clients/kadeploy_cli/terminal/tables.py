"""Tables for people: they fit the terminal, and no word is broken.

What does not fit is wrapped between words and after commas. If the words themselves need more room, columns are left
out: those that the table names as the least important, then the last ones. Away from a terminal each row is one line
with all columns.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from shutil import get_terminal_size

import click
from rich.cells import cell_len

from kadeploy_cli.terminal.failures import UsageFailure
from kadeploy_cli.terminal.text import printable, size_in_bytes
from kadeploy_nodeset import natural_order

META_KEY = "kadeploy.table"
GAP = 2
TEXT_WIDTH = 16
"""No column of text is wrapped to less than this."""
# A time stays on one line.
_CHUNKS = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?|[^\s,]*,|[^\s,]+|\s+")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?= (?:s|%)$|$)")

Rows = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableStyle:
    """What a user wants of a table: `columns` in their order (none: all), `sort` ("-NAME": descending), `wide`."""

    columns: tuple[str, ...] = ()
    sort: str = ""
    wide: bool = False


def chosen_style() -> TableStyle:
    """Returns what the command line says."""
    context = click.get_current_context(silent=True)
    style = context.meta.get(META_KEY) if context else None
    return style if isinstance(style, TableStyle) else TableStyle()


def order(columns: Sequence[str], rows: Rows, wanted: str) -> list[int]:
    """Returns the places of the rows in the order that `--sort` asks for."""
    places = list(range(len(rows)))
    if not wanted:
        return places
    number = _column(columns, wanted.removeprefix("-"), "--sort")
    return sorted(places, key=lambda place: _sort_key(rows[place][number]), reverse=wanted.startswith("-"))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, least: Sequence[str] = ()) -> None:
    """Prints rows under a heading. `least`: columns that are left out first where there is no room."""
    style, found = chosen_style(), [list(row) for row in rows]
    found = [found[place] for place in order(columns, found, style.sort)]
    kept = [_column(columns, name, "--columns") for name in style.columns] or list(range(len(columns)))
    if sys.stdout.isatty() and not style.wide:
        _show_fitted(columns, found, kept, least, get_terminal_size().columns)
        return
    for line in aligned([[row[number] for number in kept] for row in (columns, *found)]):
        click.echo(line)


def aligned(rows: Rows) -> Iterator[str]:
    """Gives rows as lines whose columns stand below each other."""
    cells = [[printable(value).replace("\n", " ") for value in row] for row in rows]
    widths = [max(cell_len(row[index]) for row in cells) for index in range(len(cells[0]))]
    for row in cells:
        yield (" " * GAP).join(_padded(value, width) for value, width in zip(row, widths, strict=True)).rstrip()


def fitted(columns: Sequence[str], rows: Rows, *, width: int, least: Sequence[str] = ()) -> tuple[Rows, list[str]]:
    """Returns lines of cells, all of the same width in a column, and the names of the columns that are left out.

    Args:
        columns: the headings.
        rows: the cells.
        width: of the terminal.
        least: columns that are left out first.
    """
    table = [[printable(value) for value in row] for row in (columns, *rows)]
    kept, left_out = list(range(len(columns))), []
    narrow = [max(_narrowest(row[number]) for row in table) for number in kept]
    natural = [max(_natural(row[number]) for row in table) for number in kept]
    for number in [*(list(columns).index(name) for name in least), *reversed(range(1, len(columns)))]:
        if len(kept) == 1 or _total([narrow[each] for each in kept]) <= width:
            break
        if number in kept:
            kept.remove(number)
            left_out.append(columns[number])
    widths = _widths([narrow[number] for number in kept], [natural[number] for number in kept], width)
    lines: list[list[str]] = []
    for row in table:
        cells = [_wrapped(row[number], limit) for number, limit in zip(kept, widths, strict=True)]
        for line in range(max(len(cell) for cell in cells)):
            pairs = zip(cells, widths, strict=True)
            lines.append([_padded(cell[line] if line < len(cell) else "", limit) for cell, limit in pairs])
    return lines, left_out


def _show_fitted(columns: Sequence[str], rows: Rows, kept: Sequence[int], least: Sequence[str], width: int) -> None:
    names = [columns[number] for number in kept]
    cells = [[row[number] for number in kept] for row in rows]
    lines, left_out = fitted(names, cells, width=width, least=[name for name in least if name in names])
    for number, line in enumerate(lines):
        text = (" " * GAP).join(line).rstrip()
        click.echo(click.style(text, bold=True) if number == 0 else text)
    if left_out:
        click.echo(f"left out for want of room: {', '.join(left_out)}; --wide shows all columns", err=True)


def _column(columns: Sequence[str], name: str, option: str) -> int:
    for number, column in enumerate(columns):
        if _plain(column) == _plain(name):
            return number
    raise UsageFailure(f"{option}: there is no column {name}", advice=f"The columns are {', '.join(columns)}.")


def _plain(name: str) -> str:
    return name.strip().casefold().replace("_", " ").replace("-", " ")


def _sort_key(cell: str) -> tuple[int, float, tuple[str, str]]:
    """Returns a key by which numbers and sizes come in their order, and names as people count them."""
    count = size_in_bytes(cell)
    if count is not None:
        return (0, count, ("", ""))
    number = _NUMBER.match(cell)
    return (0, float(number.group()), ("", "")) if number else (1, 0.0, natural_order(cell))


def _narrowest(cell: str) -> int:
    """Returns the least width in which no word of a cell is broken; of long text not a ragged column of words."""
    longest = max((cell_len(chunk) for chunk in _CHUNKS.findall(cell) if not chunk.isspace()), default=0)
    return max(longest, min(_natural(cell), TEXT_WIDTH))


def _natural(cell: str) -> int:
    return max((cell_len(line) for line in cell.split("\n")), default=0)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _widths(narrow: Sequence[int], natural: Sequence[int], width: int) -> list[int]:
    """Returns the width of each column: what is left is shared by those that want more, the least first."""
    widths = list(narrow)
    spare = max(0, width - _total(widths))
    wanting = sorted(
        (number for number in range(len(widths)) if natural[number] > narrow[number]), key=natural.__getitem__
    )
    for place, number in enumerate(wanting):
        share = min(natural[number] - narrow[number], spare // (len(wanting) - place))
        widths[number] += share
        spare -= share
    return widths


def _wrapped(cell: str, width: int) -> list[str]:
    """Returns a cell's lines, broken at blanks and after commas."""
    lines: list[str] = []
    for paragraph in cell.split("\n"):
        line = ""
        for chunk in _CHUNKS.findall(paragraph):
            if cell_len(line) + cell_len(chunk.rstrip()) <= width:
                line += chunk
            else:
                lines.append(line.rstrip())
                line = chunk.lstrip()
        lines.append(line.rstrip())
    return lines


def _padded(text: str, width: int) -> str:
    return text + " " * max(0, width - cell_len(text))
