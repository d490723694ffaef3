"""What may stand at the end of a command line that is not complete yet. Pure: a tree and words in, candidates out."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

MOST = 500
"""More candidates help nobody."""

Names = Callable[[str], list[str]]
"""Gives the names of a kind: "node", "environment", ..."""
Tree = dict[str, Any]


class Candidate(NamedTuple):
    """A word that may stand there. `type`: "plain", or "file" or "dir" for what the shell completes by itself."""

    value: str
    type: str = "plain"
    help: str = ""


def candidates(tree: Tree, words: list[str], incomplete: str, names: Names) -> list[Candidate]:
    """Returns what may stand at the place of `incomplete`. `words`: those before it, without the command's name."""
    place = _Place(tree)
    for word in words:
        place.take(word)
    return list(_limited(place.candidates(incomplete, names)))


class _Place:
    """Where on the command line one is."""

    def __init__(self, tree: Tree) -> None:
        self._command = tree
        self._pending: Tree | None = None
        self._used: set[str] = set()
        self._arguments = 0
        self._options_over = False

    def take(self, word: str) -> None:
        """Goes past a word."""
        # Shells that break words at "=" hand it over as a word of its own.
        if self._pending is not None and word == "=":
            return
        if self._pending is not None and not (self._pending["may"] and word.startswith("-")):
            self._pending = None
        elif word == "--" and not self._options_over:
            self._options_over = True
        elif word.startswith("-") and not self._options_over:
            self._take_option(word)
        elif word in self._command.get("commands", {}):
            self._command, self._used, self._arguments = self._command["commands"][word], set(), 0
        else:
            self._pending = None
            self._arguments += 1

    def candidates(self, incomplete: str, names: Names) -> Iterator[Candidate]:
        """Gives what may stand here."""
        if self._pending is not None and not (self._pending["may"] and incomplete.startswith("-")):
            yield from _values(self._pending, "" if incomplete == "=" else incomplete, names)
            if not self._pending["may"]:
                return
        if incomplete.startswith("-") and not self._options_over:
            yield from self._options(incomplete, names)
        elif "commands" in self._command:
            for name, command in self._command["commands"].items():
                if name.startswith(incomplete):
                    yield Candidate(name, help=command["help"])
        elif (argument := self._argument()) is not None:
            yield from _values(argument, incomplete, names)

    def _take_option(self, word: str) -> None:
        name, equals, _ = word.partition("=")
        option = self._option(name)
        self._pending = None
        if option is not None:
            self._used.update(option["names"])
            self._pending = option if option["takes"] and not equals else None

    def _options(self, incomplete: str, names: Names) -> Iterator[Candidate]:
        name, equals, value = incomplete.partition("=")
        option = self._option(name)
        if equals and option is not None and option["takes"]:
            for each in _values(option, value, names):
                yield Candidate(f"{name}={each.value}", each.type, each.help)
            return
        for option in self._command["options"]:
            if option["repeats"] or not self._used & set(option["names"]):
                for each in option["names"]:
                    if each.startswith(incomplete):
                        yield Candidate(each, help=option["help"])

    def _option(self, name: str) -> Tree | None:
        return next((option for option in self._command["options"] if name in option["names"]), None)

    def _argument(self) -> Tree | None:
        arguments = self._command["arguments"]
        if self._arguments < len(arguments):
            found: Tree = arguments[self._arguments]
            return found
        return arguments[-1] if arguments and arguments[-1]["repeats"] else None


def _values(parameter: Tree, incomplete: str, names: Names) -> Iterator[Candidate]:
    kind = parameter.get("kind", "")
    if "choices" in parameter:
        yield from (Candidate(choice) for choice in parameter["choices"] if choice.startswith(incomplete))
    elif kind in ("file", "dir"):
        yield Candidate(incomplete, kind)
    elif kind == "nodes":
        # Of a node set the last name is completed; a bracket that is open names no node.
        begin, comma, last = incomplete.rpartition(",")
        if "[" not in last:
            yield from (Candidate(f"{begin}{comma}{name}") for name in names("node") if name.startswith(last))
    elif kind:
        yield from (Candidate(name) for name in names(kind) if name.startswith(incomplete))


def _limited(found: Iterator[Candidate]) -> Iterator[Candidate]:
    for _, candidate in zip(range(MOST), found, strict=False):
        yield candidate
