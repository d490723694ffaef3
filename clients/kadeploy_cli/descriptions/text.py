"""What all description files have in common: lines with numbers, and errors that name them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kadeploy_cli.terminal.failures import UsageFailure

MAXIMUM_SIZE = 16 * 1024 * 1024


class DescriptionFailure(UsageFailure):
    """A description file says something that cannot be accepted."""

    def __init__(self, source: str, line: int, message: str) -> None:
        place = f"{source}, line {line}" if line else source
        super().__init__(f"{place}: {message}")
        self.source = source
        self.line = line


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line with something in it."""

    source: str
    number: int
    text: str

    def failure(self, message: str) -> DescriptionFailure:
        """Returns the error that names this line."""
        return DescriptionFailure(self.source, self.number, message)


def decode(content: bytes, source: str) -> str:
    """Returns the text of a description file, or says what it is instead."""
    if len(content) > MAXIMUM_SIZE:
        raise DescriptionFailure(source, 0, f"is too long: a description has at most {MAXIMUM_SIZE >> 20} MiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DescriptionFailure(source, line, "is not UTF-8 text") from None
    if "\0" in text:
        raise DescriptionFailure(source, text.count("\n", 0, text.index("\0")) + 1, "has a zero byte; text is expected")
    return text


def lines(text: str, source: str) -> Iterator[Line]:
    """Gives the lines that say something: neither empty nor comments."""
    for number, raw in enumerate(text.split("\n"), start=1):
        stripped = raw.strip()
        if stripped and not stripped.startswith("#"):
            yield Line(source=source, number=number, text=stripped)


YAML_BEGINS = re.compile(r"---|\{|[A-Za-z_]+\s*:(\s|$)")


def looks_like_yaml(text: str, source: str) -> bool:
    """Returns whether a file is YAML by its suffix, else by its first line that says something."""
    if source.endswith((".yaml", ".yml")):
        return True
    first = next(lines(text, source), None)
    return first is not None and YAML_BEGINS.match(first.text) is not None


def shown(word: str) -> str:
    """Returns a word as error messages quote it: short, and printable."""
    return repr(word if len(word) <= 60 else word[:57] + "...")  # noqa: PLR2004
