"""Collects what is wrong with a description, field by field, so that the answer names everything at once."""

from collections.abc import Callable

from kadeploy_edge.errors import FieldViolation


class Problems:
    """The problems found so far, seen from one place in the description.

    Args:
        path: where this place is: `nodes[3]`.
        found: the list to share with the place above.
    """

    def __init__(self, path: str = "", found: list[FieldViolation] | None = None) -> None:
        self._path = path
        self._found: list[FieldViolation] = [] if found is None else found

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def found(self) -> tuple[FieldViolation, ...]:
        """Every problem, in the order in which they were found."""
        return tuple(self._found)

    def under(self, field: str) -> "Problems":
        """Returns the same collection, seen from a field below: `disks[0]`."""
        return Problems(self._join(field), self._found)

    def add(self, field: str, description: str) -> None:
        """Adds a problem; the description completes the sentence that begins with the field."""
        self._found.append(FieldViolation(field=self._join(field), description=description))

    def take(self, field: str, parse: Callable[[str], str], value: str) -> str:
        """Returns the parsed value, or adds what the parser has against it and returns it as it came."""
        try:
            return parse(value)
        except ValueError as error:
            self.add(field, str(error))
            return value

    def _join(self, field: str) -> str:
        if not self._path or not field:
            return self._path or field
        return f"{self._path}.{field}"
