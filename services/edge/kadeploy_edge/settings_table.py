"""One table of a file of settings: asked key by key, complains in one sentence, and knows what it was asked."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from kadeploy_edge.settings_text import BadSettings, SettingsText

LONGEST_SHOWN = 80
SECRET_WORDS = ("password", "secret", "token", "private")

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a sample of the settings says of a key besides its default and what may stand there.

    Attributes:
        doc: what the key is for, in sentences.
        example: what a site may write, where there is no default or it shows too little.
    """

    doc: str = ""
    example: object = None


_NOTHING = Note()


class Table:
    """One table of the file. Whoever asks for a key makes it known; without a default a key has to be there.

    `doc` and `example` of each method are for the sample of the settings (`settings_sample`).
    """

    def __init__(self, file: SettingsText, keys: tuple[str, ...], values: Mapping[str, Any] | None) -> None:
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

    @property
    def title(self) -> str:
        """Its full name; empty at the top."""
        return ".".join(self._keys)

    def name(self, key: str) -> str:
        """Returns the full name of a key of this table."""
        return ".".join((*self._keys, key))

    def has(self, key: str) -> bool:
        """Returns whether the file gives the key a value."""
        return key in self._values

    def text(
        self, key: str, default: str | None = None, *, expected: str = "a text", doc: str = "", example: str = ""
    ) -> str:
        """Returns a text of one line; it may be empty where the default is."""

        def fits(value: Any) -> bool:
            return _is_text(value) or value == default == ""

        return self._take(key, default, expected, fits, note=Note(doc=doc, example=example or None))

    def choice(self, key: str, choices: Sequence[str], default: str | None = None, *, doc: str = "") -> str:
        """Returns one of some words."""
        expected = "one of " + ", ".join(choices)

        def fits(value: Any) -> bool:
            return isinstance(value, str) and value in choices

        return self._take(
            key, default, expected, fits, note=Note(doc=doc, example=choices[-1] if default is None else None)
        )

    def flag(self, key: str, default: bool, *, doc: str = "") -> bool:
        """Returns true or false."""
        return self._take(key, default, "true or false", lambda value: isinstance(value, bool), note=Note(doc=doc))

    def whole(
        self, key: str, default: int | None = None, *, least: int, most: int, unit: str = "", doc: str = ""
    ) -> int:
        """Returns a whole number."""
        expected = f"a whole number from {least} to {most}"

        def fits(value: Any) -> bool:
            return _is_number(value, int) and least <= value <= most

        return self._take(key, default, expected, fits, unit=unit, note=Note(doc=doc))

    def number(
        self, key: str, default: float | None = None, *, least: float, most: float, unit: str = "", doc: str = ""
    ) -> float:
        """Returns a number."""
        expected = f"a number from {least:g} to {most:g}"

        def fits(value: Any) -> bool:
            return _is_number(value, (int, float)) and least <= value <= most

        return float(self._take(key, default, expected, fits, unit=unit, note=Note(doc=doc)))

    def names(
        self, key: str, default: Iterable[str] | None = None, *, doc: str = "", example: Sequence[str] = ()
    ) -> frozenset[str]:
        """Returns a list of names, as a set."""
        wanted = 'a list of names such as ["root"]'
        note = Note(doc=doc, example=list(example) or None)
        fallback = None if default is None else sorted(default)
        return frozenset(self._take(key, fallback, wanted, _is_list_of_texts, note=note))

    def path(self, key: str, default: Path | None = None, *, doc: str = "", example: str = "") -> Path:
        """Returns a path; a relative one begins at the file of the settings."""
        path = self._resolved(self.text(key, None if default is None else str(default), doc=doc, example=example))
        self._read[key] = str(path)
        return path

    def optional_path(self, key: str, *, doc: str = "", example: str = "") -> Path | None:
        """Returns a path, or None where the key is not there."""
        self._known.setdefault(key, None)
        return self.path(key) if self.has(key) else None

    def paths(self, key: str, default: Iterable[Path] = (), *, doc: str = "") -> tuple[Path, ...]:
        """Returns a list of paths, which may be empty."""
        note = Note(doc=doc)
        texts = self._take(key, [str(path) for path in default], "a list of paths", _is_list_of_texts, note=note)
        paths = tuple(self._resolved(one) for one in texts)
        self._read[key] = [str(path) for path in paths]
        return paths

    def describe(self, doc: str, *, optional: bool = False) -> None:
        """Says for the sample what the table is for, and whether it may be missing although it needs some keys."""

    def table(self, key: str) -> "Table":
        """Returns a table within this one; where the key is not there an empty one, with `is_there` False."""
        values = self._take(key, None, "a table", lambda value: isinstance(value, dict)) if self.has(key) else None
        inner = Table(self._file, (*self._keys, key), values)
        self._known[key] = inner
        return inner

    def tables(self, *, example: str = "") -> Mapping[str, "Table"]:
        """Returns what is left of this table, as tables whose names the site chooses."""
        return {key: self.table(key) for key in tuple(self._values)}

    def alternative(self, key: str, read: Callable[["Table"], object], *, doc: str) -> None:
        """Names another form of a key, a table, which `read` reads; of use to a sample of the settings alone."""

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
        self,
        key: str,
        default: _Value | None,
        expected: str,
        fits: Callable[[Any], bool],
        *,
        unit: str = "",
        note: Note = _NOTHING,
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
