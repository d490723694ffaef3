"""What a check has found."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from kadeploy_cli.terminal.failures import Failure


class State(StrEnum):
    """How it is."""

    GOOD = "good"
    # It works, and will not for long; or nobody can say.
    WARNING = "warning"
    BAD = "bad"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line. `subject`: what was looked at; `text`: how it is; `advice`: what to do."""

    subject: str
    state: State
    text: str
    advice: str = ""


Check = Callable[[], Iterable[Finding]]


def good(subject: str, text: str) -> Finding:
    """Returns that something is well."""
    return Finding(subject=subject, state=State.GOOD, text=text)


def bad(subject: str, text: str, advice: str = "") -> Finding:
    """Returns that something does not work."""
    return Finding(subject=subject, state=State.BAD, text=text, advice=advice)


def warning(subject: str, text: str, advice: str = "") -> Finding:
    """Returns that something needs attention."""
    return Finding(subject=subject, state=State.WARNING, text=text, advice=advice)


def skipped(subject: str, text: str) -> Finding:
    """Returns that something could not be looked at."""
    return Finding(subject=subject, state=State.SKIPPED, text=text)


def findings_of(subject: str, check: Check) -> Iterator[Finding]:
    """Gives the findings of a check; a call that fails is one."""
    try:
        yield from check()
    except Failure as failure:
        yield bad(subject, failure.message.replace("\n", " "), failure.advice)
    except OSError as error:
        yield bad(subject, error.strerror or str(error))
