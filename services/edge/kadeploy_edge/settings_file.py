"""The settings of a service: one TOML file, read strictly and told about by line.

A service describes its settings by one function that asks a `Table` for each key; what the function did not ask for is
unknown, and refused. Every complaint is one sentence with file, line and key, what was expected, unit and default.
Secrets have no place in such a file (they stand in files of their own, see `private_file`), and should one be written
into it by mistake, no complaint repeats it.

    def read_settings(table: Table) -> Settings:
        return Settings(
            address=table.text("address", "127.0.0.1:7401"),
            lease=table.number("lease", 30, least=3, most=3600, unit="seconds"),
            tls=read_tls(table.table("tls")),
        )

    settings = load(path, read_settings)
"""

import difflib
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

LARGEST_FILE_BYTES = 256 * 1024
LONGEST_SHOWN = 80
SECRET_WORDS = ("password", "secret", "token", "private")

_Settings = TypeVar("_Settings")
_Value = TypeVar("_Value")


class BadSettings(Exception):
    """The settings cannot be used; the message names the file, the line and the key."""


def load(path: Path, read: Callable[["Table"], _Settings]) -> _Settings:
    """Returns what `read` makes of a file, or raises BadSettings with one sentence."""
    top = parse(path)
    settings = read(top)
    top.end()
    return settings


def describe(path: Path, read: Callable[["Table"], object]) -> str:
    """Returns the settings that `read` finds in a file, as TOML: every key with its value, defaults too.

    Paths are absolute. Reading that text gives the same settings. It has no secrets, because settings name files with
    secrets and no secret. Raises BadSettings with one sentence if the file cannot be used.
    """
    top = parse(path)
    read(top)
    top.end()
    return tomli_w.dumps(top.as_read())


def parse(path: Path) -> "Table":
    """Returns the top of a TOML file, of which nothing has been asked yet; or raises BadSettings."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
        if len(content) > LARGEST_FILE_BYTES:
            raise BadSettings(f"{path} is larger than {LARGEST_FILE_BYTES} bytes: that is no file of settings")
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        raise BadSettings(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        bad_line = content[: error.start].count(b"\n") + 1
        raise BadSettings(f"{path}:{bad_line}: this is no TOML: it is not UTF-8") from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason, _, place = str(error).partition(" (at ")
        line = place.removeprefix("line ").partition(",")[0].rstrip(")")
        number = int(line) if line.isdigit() else text.count("\n") + 1
        raise BadSettings(f"{path}:{number}: this is no TOML: {reason}") from error
    return Table(_File(path, text), (), values)


class _File:
    """The text of a file, to find lines in."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self._lines = text.split("\n")

    def line_of(self, keys: Sequence[str]) -> int | None:
        """Returns the line on which a key is given its value, or on which its table begins.

        Only asked for a complaint, so it may be slow, and TOML's own reader does it: it is the first statement without
        which the key is not there.
        """
        begin = 0
        for end in range(1, len(self._lines) + 1):
            try:
                found: Any = tomllib.loads("\n".join(self._lines[:end]))
            except tomllib.TOMLDecodeError:
                continue  # in the middle of a statement
            for key in keys:
                found = found.get(key) if isinstance(found, dict) else None
            if found is not None:
                return begin + 1
            begin = end
        return None

    def complaint(self, keys: Sequence[str], sentence: str) -> BadSettings:
        """Returns an error about a key, with the line if the key, or the table that it belongs into, is there."""
        line = self.line_of(keys) or (self.line_of(keys[:-1]) if len(keys) > 1 else None)
        return BadSettings(f"{self.path}:{line}: {sentence}" if line else f"{self.path}: {sentence}")


class Table:
    """One table of the file. Whoever asks for a key makes it known; without a default a key has to be there."""

    def __init__(self, file: _File, keys: tuple[str, ...], values: Mapping[str, Any] | None) -> None:
        self._file = file
        self._keys = keys
        self._values = dict(values or {})
        self._known: dict[str, Table | None] = {}
        self._read: dict[str, Any] = {}
        self.is_there = values is not None

    @property
    def file(self) -> Path:
        """The file that is read."""
        return self._file.path

    def name(self, key: str) -> str:
        """Returns the full name of a key of this table."""
        return ".".join((*self._keys, key))

    def has(self, key: str) -> bool:
        """Returns whether the file gives the key a value."""
        return key in self._values

    def text(self, key: str, default: str | None = None) -> str:
        """Returns a text of one line; it may be empty where the default is."""
        return self._take(key, default, "a text", lambda value: _is_text(value) or value == default == "")

    def choice(self, key: str, choices: Sequence[str], default: str | None = None) -> str:
        """Returns one of some words."""
        expected = "one of " + ", ".join(choices)
        return self._take(key, default, expected, lambda value: isinstance(value, str) and value in choices)

    def flag(self, key: str, default: bool) -> bool:
        """Returns true or false."""
        return self._take(key, default, "true or false", lambda value: isinstance(value, bool))

    def whole(self, key: str, default: int | None = None, *, least: int, most: int, unit: str = "") -> int:
        """Returns a whole number."""
        expected = f"a whole number from {least} to {most}"
        return self._take(key, default, expected, lambda value: _is_number(value, int) and least <= value <= most, unit)

    def number(self, key: str, default: float | None = None, *, least: float, most: float, unit: str = "") -> float:
        """Returns a number."""
        expected = f"a number from {least:g} to {most:g}"

        def fits(value: Any) -> bool:
            return _is_number(value, (int, float)) and least <= value <= most

        return float(self._take(key, default, expected, fits, unit))

    def names(self, key: str, default: Iterable[str] | None = None) -> frozenset[str]:
        """Returns a list of names, as a set."""
        wanted = 'a list of names such as ["root"]'
        return frozenset(self._take(key, None if default is None else sorted(default), wanted, _is_list_of_texts))

    def path(self, key: str, default: Path | None = None) -> Path:
        """Returns a path; a relative one begins at the file of the settings."""
        path = self._resolved(self.text(key, None if default is None else str(default)))
        self._read[key] = str(path)
        return path

    def optional_path(self, key: str) -> Path | None:
        """Returns a path, or None where the key is not there."""
        self._known.setdefault(key, None)
        return self.path(key) if self.has(key) else None

    def paths(self, key: str, default: Iterable[Path] = ()) -> tuple[Path, ...]:
        """Returns a list of paths, which may be empty."""
        texts = self._take(key, [str(path) for path in default], "a list of paths", _is_list_of_texts)
        paths = tuple(self._resolved(one) for one in texts)
        self._read[key] = [str(path) for path in paths]
        return paths

    def table(self, key: str) -> "Table":
        """Returns a table within this one; where the key is not there an empty one, with `is_there` False."""
        values = self._take(key, None, "a table", lambda value: isinstance(value, dict)) if self.has(key) else None
        inner = Table(self._file, (*self._keys, key), values)
        self._known[key] = inner
        return inner

    def tables(self) -> Mapping[str, "Table"]:
        """Returns what is left of this table, as tables whose names the site chooses."""
        return {key: self.table(key) for key in tuple(self._values)}

    def is_text(self, key: str) -> bool:
        """Returns whether the key's value is a text: for a table that may be said in one word."""
        return isinstance(self._values.get(key), str)

    def complaint(self, key: str, sentence: str) -> BadSettings:
        """Returns an error with one sentence about a key, which the caller words."""
        return self._file.complaint((*self._keys, key), sentence)

    def refusal(self, key: str, expected: str, value: object, *, unit: str = "", default: object = None) -> BadSettings:
        """Returns the error that the key must be something else. A value that may be a secret is not repeated."""
        shown = "" if _is_secret(key, value) else f", not {_shown(value)}"
        notes = "; ".join(note for note in (unit, "" if default is None else f"default {_shown(default)}") if note)
        return self.complaint(key, f"{self.name(key)} must be {expected}{shown}{f' ({notes})' if notes else ''}")

    def missing(self, key: str, expected: str) -> BadSettings:
        """Returns the error that a key is not there."""
        others = [one for one in self._values if one not in self._known]
        meant = difflib.get_close_matches(key, others, n=1, cutoff=0.85)
        advice = f"is it what {self.name(meant[0])} stands for?" if meant else f"it must be {expected}"
        return self.complaint(meant[0] if meant else key, f"the key {self.name(key)} is missing; {advice}")

    def asked(self) -> tuple[str, ...]:
        """Returns the full names of all keys that were asked for, tables aside."""
        found: list[str] = []
        for key, inner in self._known.items():
            found.extend((self.name(key),) if inner is None else inner.asked())
        return tuple(found)

    def as_read(self) -> dict[str, Any]:
        """Returns the value of each key that was asked for, defaults too; not of tables of which nothing was asked."""
        inner = {key: table.as_read() for key, table in self._known.items() if table is not None}
        return {**self._read, **{key: values for key, values in inner.items() if values}}

    def end(self) -> None:
        """Raises BadSettings if the file has a key that nobody asked for."""
        for key in self._values:
            if key not in self._known:
                known = ", ".join(sorted(self._known)) or "none"
                meant = difflib.get_close_matches(key, self._known, n=1)
                advice = f"was {meant[0]} meant? Known are {known}" if meant else f"known are {known}"
                raise self.complaint(key, f"the key {self.name(key)} is not known; {advice}")
        for inner in self._known.values():
            if inner is not None:
                inner.end()

    def _take(
        self, key: str, default: _Value | None, expected: str, fits: Callable[[Any], bool], unit: str = ""
    ) -> _Value:
        self._known.setdefault(key, None)
        if key not in self._values:
            if default is None:
                raise self.missing(key, expected)
            self._read[key] = default
            return default
        value: _Value = self._values[key]
        if not fits(value):
            raise self.refusal(key, expected, value, unit=unit, default=default)
        if not isinstance(value, dict):
            self._read[key] = value
        return value

    def _resolved(self, text: str) -> Path:
        return self.file.resolve().parent / Path(text).expanduser()


def _is_number(value: Any, kinds: type | tuple[type, ...]) -> bool:
    # A boolean is an int for Python, but not for a person.
    return isinstance(value, kinds) and not isinstance(value, bool)


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(_is_text(item) for item in value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable()


def _is_secret(key: str, value: object) -> bool:
    # user:password@host, whatever the key is called
    has_login = isinstance(value, str) and "@" in value
    return has_login or any(word in key for word in SECRET_WORDS)


def _shown(value: object) -> str:
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"
