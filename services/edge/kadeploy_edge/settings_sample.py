"""The sample of a service's settings, made from the function that reads them: every key, its default and its bounds.

    python -m kadeploy_edge.settings_sample kadeploy_deployer.settings deployer.toml.sample

The module has `read_settings`, and `TITLE`, the first sentence of the sample. Defaults stand behind a comment sign, so
the sample says what an empty file says, but for the keys that have to be there.
"""

import importlib
import json
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from kadeploy_edge.settings_table import Note, Table
from kadeploy_edge.settings_text import SettingsText

WIDTH = 120
INTRODUCTION = (
    "Every key is shown; where a key has a default, it stands here behind a comment sign. Paths may be relative to "
    "this file."
)

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One key of the sample.

    Attributes:
        key: its name within its table.
        doc: all that is said of it.
        value: what stands behind it.
        needed: whether it has to be there.
    """

    key: str
    doc: str
    value: object
    needed: bool


class SampleTable(Table):
    """A table that is empty but for examples of what has to be there, and notes what it is asked."""

    def __init__(self, keys: tuple[str, ...] = (), *, optional: bool = False) -> None:
        super().__init__(SettingsText(Path("/etc/kadeploy/sample.toml"), ""), keys, {})
        self.doc = ""
        self.optional = optional
        self.entries: dict[str, Entry] = {}
        self.inner: list[SampleTable] = []

    def optional_path(self, key: str, *, doc: str = "", example: str = "") -> Path | None:
        """Notes the key, which is not there."""
        self._note(key, Note(doc=doc, example=example), needed=False)
        return None

    def describe(self, doc: str, *, optional: bool = False) -> None:
        """Notes what the table is for."""
        self.doc, self.optional = doc, optional or self.optional

    def table(self, key: str) -> "SampleTable":
        """Returns a table of the sample."""
        inner = SampleTable((*self._keys, key), optional=self.optional)
        self.inner.append(inner)
        return inner

    def tables(self, *, example: str = "") -> Mapping[str, Table]:
        """Returns one table as an example."""
        return {example: self.table(example)}

    def alternative(self, key: str, read: Callable[[Table], object], *, doc: str) -> None:
        """Notes the other form."""
        other = self.table(key)
        other.describe(doc, optional=True)
        read(other)

    def _take(
        self,
        key: str,
        default: _Value | None,
        expected: str,
        fits: Callable[[Any], bool],
        *,
        unit: str = "",
        note: Note = Note(),  # noqa: B008 (frozen)
    ) -> _Value:
        value: Any = note.example if default is None else default
        if not fits(value):
            raise LookupError(f"{self.name(key)} has no example that is {expected}")
        bounds = expected.partition(" number ")[2] or (expected if expected.startswith("one of") else "")
        parts = ", ".join(part for part in (unit, bounds) if part)
        said = f"{note.doc} ({parts})" if parts else note.doc
        shown = value if note.example is None or default is None else note.example
        self._note(key, Note(doc=said, example=shown), needed=default is None)
        return value  # type: ignore[no-any-return]

    def _note(self, key: str, note: Note, *, needed: bool) -> None:
        entry = Entry(key=key, doc=note.doc, value=note.example, needed=needed and not self.optional)
        self.entries.setdefault(key, entry)


def sample(title: str, read: Callable[[Table], object]) -> str:
    """Returns the sample of the settings that `read` reads. Raises LookupError for a key without doc or example."""
    top = SampleTable()
    read(top)
    return "\n".join([*_comment(title), *_comment(INTRODUCTION), *_lines(top)]) + "\n"


def _lines(table: SampleTable) -> Iterator[str]:
    if table.title and (table.doc or table.entries):
        yield ""
        yield from _comment(table.doc)
        if table.entries:
            needed = not table.optional
            yield f"[{table.title}]" if needed else f"# [{table.title}]"
    for entry in table.entries.values():
        if not table.title:
            yield ""
        if not entry.doc:
            raise LookupError(f"{table.name(entry.key)} has no doc: say in its reader what it is for")
        yield from _comment(entry.doc)
        line = f"{entry.key} = {_toml(entry.value)}"
        yield line if entry.needed else f"# {line}"
    for inner in table.inner:
        yield from _lines(inner)


def _toml(value: object) -> str:
    """Returns a value on one line. JSON's texts, numbers, booleans and lists are TOML's, too."""
    shown = int(value) if isinstance(value, float) and value.is_integer() else value
    return json.dumps(shown, ensure_ascii=False)


def _comment(text: str) -> Iterator[str]:
    yield from textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def main(arguments: Sequence[str]) -> int:
    """Writes the sample of a module to a file."""
    module, file = arguments
    settings = importlib.import_module(module)
    Path(file).write_text(sample(settings.TITLE, settings.read_settings), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
