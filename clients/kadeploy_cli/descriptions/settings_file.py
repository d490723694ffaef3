"""Files of `key = value` lines, as Kadeploy 2 described environments. `#` begins a comment line; a key stands once."""

from collections.abc import Mapping
from dataclasses import dataclass

from kadeploy_cli.descriptions.problem_list import ProblemList
from kadeploy_cli.descriptions.text import DescriptionFailure, lines, shown

KEYS = (
    "name",
    "version",
    "description",
    "author",
    "size",
    "initrdpath",
    "kernelpath",
    "kernelparam",
    "filebase",
    "filesite",
    "fdisktype",
    "filesystem",
    "optsupport",
    # Words that Kadeploy 2 had no key for.
    "visibility",
    "cluster",
    "script",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A value, and where it stands."""

    value: str
    source: str
    line: int

    def failure(self, message: str) -> DescriptionFailure:
        """Returns the error that names the value's line."""
        return DescriptionFailure(self.source, self.line, message)


def parse(text: str, source: str) -> Mapping[str, Setting]:
    """Reads the settings, or raises UsageFailure that names each line that is wrong."""
    settings: dict[str, Setting] = {}
    problems = ProblemList()
    for line in lines(text, source):
        key, equals, value = (part.strip() for part in line.text.partition("="))
        if not equals:
            problems.add(line.failure(f'"key = value" is expected, not {shown(line.text)}'))
        elif key not in KEYS:
            problems.add(line.failure(f"{shown(key)} is no key; known are {', '.join(KEYS)}"))
        elif key in settings:
            problems.add(line.failure(f"{key} stands on line {settings[key].line} already"))
        else:
            settings[key] = Setting(value=_unquoted(value), source=source, line=line.number)
    problems.raise_found()
    return settings


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value
