"""Templates of loader files: `string.Template` with `@`, because loader files are full of `$`, and strict."""

import dataclasses
import functools
import string
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class BootTemplate(string.Template):
    """A template whose gaps look like @name or @{name}."""

    delimiter = "@"


@functools.cache
def load(name: str) -> BootTemplate:
    """Returns the template of a file in `templates/`."""
    return BootTemplate((resources.files(__package__) / "templates" / name).read_text(encoding="ascii"))


def fill(name: str, values: "DataclassInstance") -> str:
    """Returns the template's text with the fields of a dataclass in its gaps; a gap without a field raises KeyError."""
    fields = {field.name: getattr(values, field.name) for field in dataclasses.fields(values)}
    return load(name).substitute(fields)
