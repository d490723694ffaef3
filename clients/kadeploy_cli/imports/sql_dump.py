"""Rows of a MySQL dump, as mysqldump and phpMyAdmin write it: CREATE TABLE for the columns, INSERT for the rows.

Nothing of the dump is run. Tables that nobody asks for are passed over.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from kadeploy_cli.descriptions.text import DescriptionFailure
from kadeploy_cli.terminal.failures import UsageFailure

MAXIMUM_BYTES = 256 << 20
Row = Mapping[str, str | None]

_NAME = r"(?:`((?:[^`]|``)+)`|([A-Za-z_][A-Za-z0-9_]*))"
_STRING = r"'(?:[^'\\]|\\.|'')*+'"
_COMMENT = re.compile(r"\s+|--[^\n]*|#[^\n]*|/\*.*?\*/|;", re.DOTALL)
_CREATE = re.compile(rf"CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:{_NAME}\s*\.\s*)?{_NAME}\s*\(", re.IGNORECASE)
_INSERT = re.compile(rf"(?:INSERT|REPLACE)\s+(?:IGNORE\s+)?INTO\s+(?:{_NAME}\s*\.\s*)?{_NAME}\s*", re.IGNORECASE)
_COLUMNS = re.compile(rf"\(\s*({_NAME}(?:\s*,\s*{_NAME})*)\s*\)\s*", re.IGNORECASE)
_COLUMN = re.compile(_NAME)
_VALUES = re.compile(r"VALUES\s*", re.IGNORECASE)
_DECLARED = re.compile(r"^\s*`((?:[^`]|``)+)`\s+[a-z]|^\s*([A-Za-z_][A-Za-z0-9_]*)\s+[a-z]", re.IGNORECASE)
_STATEMENT = re.compile(rf"(?:[^;'\"`]|{_STRING}|\"(?:[^\"\\]|\\.)*+\"|`[^`]*`)*+;?", re.DOTALL)
_VALUE = re.compile(
    rf"\s*(?:(?P<null>NULL\b)|(?:_\w+\s*)?(?P<string>{_STRING})|(?P<word>-?[\w.+-]+))\s*", re.IGNORECASE | re.DOTALL
)
_ESCAPE = re.compile(r"\\(.)|''", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "Z": "\x1a"}
# Of keys and constraints, which are not columns.
_NO_COLUMN = ("PRIMARY", "KEY", "UNIQUE", "CONSTRAINT", "FULLTEXT", "INDEX", "FOREIGN", "CHECK")


def read_tables(files: Collection[Path], wanted: Collection[str]) -> dict[str, list[Row]]:
    """Returns the rows of the wanted tables, by table; those of several dumps one after the other."""
    found: dict[str, list[Row]] = {}
    for file in files:
        try:
            if file.stat().st_size > MAXIMUM_BYTES:
                raise UsageFailure(
                    f"{file} is too long for a dump: at most {MAXIMUM_BYTES >> 20} MiB",
                    advice="Leave the history out: mysqldump --ignore-table=DATABASE.log.",
                )
            content = file.read_bytes()
        except OSError as error:
            raise UsageFailure(f"{file} cannot be read: {error.strerror}") from None
        for name, rows in parse(_decoded(content), str(file), wanted).items():
            found.setdefault(name, []).extend(rows)
    return found


def parse(text: str, source: str, wanted: Collection[str]) -> dict[str, list[Row]]:
    """Returns the rows of the wanted tables of a dump, or raises DescriptionFailure."""
    columns: dict[str, list[str]] = {}
    found: dict[str, list[Row]] = {}
    at = 0
    while at < len(text):
        if skipped := _COMMENT.match(text, at):
            at = skipped.end()
        elif made := _CREATE.match(text, at):
            end = _end(text, at)
            name = _table(made)
            if name in wanted:
                columns[name] = _declared(text[made.end() : end])
                found.setdefault(name, [])
            at = end
        elif inserted := _INSERT.match(text, at):
            name = _table(inserted)
            if name not in wanted:
                at = _end(text, at)
                continue
            at = inserted.end()
            named = _COLUMNS.match(text, at)
            if named:
                at = named.end()
                listed = [_plain(each) for each in _COLUMN.finditer(named[1])]
            else:
                listed = columns.get(name, [])
            rows = _Rows(text, source, at)
            found.setdefault(name, []).extend(rows.read(name, listed))
            at = rows.at
        else:
            at = max(_end(text, at), at + 1)
    return found


class _Rows:
    """Reads the rows of one INSERT. `at`: where it goes on."""

    def __init__(self, text: str, source: str, at: int) -> None:
        self.at = at
        self._text = text
        self._source = source

    def read(self, table: str, columns: list[str]) -> Iterator[Row]:
        values = _VALUES.match(self._text, self.at)
        if not values:
            raise self._failure(f"VALUES is expected after INSERT INTO {table}")
        self.at = values.end()
        while True:
            row = self._row()
            if len(row) != len(columns):
                raise self._failure(f"a row of {table} has {len(row)} values for {len(columns)} columns")
            yield dict(zip(columns, row, strict=True))
            if not self._take(","):
                return

    def _row(self) -> list[str | None]:
        if not self._take("("):
            raise self._failure("a row in parentheses is expected")
        row: list[str | None] = []
        while True:
            value = _VALUE.match(self._text, self.at)
            if not value:
                raise self._failure("a value is expected")
            self.at = value.end()
            if value["null"]:
                row.append(None)
            else:
                row.append(_unescaped(value["string"][1:-1]) if value["string"] else value["word"])
            if self._take(")"):
                return row
            if not self._take(","):
                raise self._failure("a comma or a closing parenthesis is expected")

    def _take(self, sign: str) -> bool:
        while self.at < len(self._text) and self._text[self.at].isspace():
            self.at += 1
        if not self._text.startswith(sign, self.at):
            return False
        self.at += 1
        return True

    def _failure(self, message: str) -> DescriptionFailure:
        return DescriptionFailure(self._source, self._text.count("\n", 0, self.at) + 1, message)


def _decoded(content: bytes) -> str:
    """Returns the text of a dump: old ones are in Latin-1."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _end(text: str, at: int) -> int:
    """Returns where the statement that begins here ends."""
    statement = _STATEMENT.match(text, at)
    return statement.end() if statement else len(text)


def _table(match: re.Match[str]) -> str:
    """Returns the name of the table, which stands after that of its database, if there is one."""
    return (match[3] or match[4]).replace("``", "`")


def _plain(match: re.Match[str]) -> str:
    return (match[1] or match[2]).replace("``", "`")


def _declared(body: str) -> list[str]:
    """Returns the columns that CREATE TABLE declares, each on a line of its own."""
    names = []
    for line in body.split("\n"):
        match = _DECLARED.match(line)
        if match and (match[1] or match[2].upper() not in _NO_COLUMN):
            names.append(match[1] or match[2])
    return names


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: _LETTERS.get(match[1], match[1]) if match[1] else "'", text)
