"""Collects what is wrong with a description, so that one answer names every line that has to change."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from kadeploy_cli.descriptions.text import DescriptionFailure
from kadeploy_cli.terminal.failures import UsageFailure

Value = TypeVar("Value")

MOST_SHOWN = 50


class SeveralProblems(UsageFailure):
    """A description has more than one thing that cannot be accepted."""

    def __init__(self, problems: Sequence[UsageFailure]) -> None:
        shown = [problem.message for problem in problems[:MOST_SHOWN]]
        if len(problems) > MOST_SHOWN:
            shown.append(f"and {len(problems) - MOST_SHOWN} more")
        advice = " ".join(dict.fromkeys(problem.advice for problem in problems if problem.advice))
        super().__init__("\n".join(shown), advice=advice)
        self.problems = tuple(problems)


class ProblemList:
    """The problems found so far."""

    def __init__(self) -> None:
        self._found: list[UsageFailure] = []

    def add(self, problem: UsageFailure) -> None:
        """Adds a problem."""
        self._found.append(problem)

    def take(self, read: Callable[[], Value], default: Value) -> Value:
        """Returns what is read, or adds why it cannot be accepted and returns the default."""
        try:
            return read()
        except UsageFailure as problem:
            self._found.append(problem)
            return default

    def raise_found(self) -> None:
        """Raises the only problem as it is, or SeveralProblems by their lines. Returns if none was found."""
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            raise SeveralProblems(sorted(self._found, key=_line))


def _line(problem: UsageFailure) -> int:
    return problem.line if isinstance(problem, DescriptionFailure) else 0
