"""The text of a file of settings, to name lines in complaints."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class BadSettings(Exception):
    """The settings cannot be used; the message names the file, the line and the key."""


class SettingsText:
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
