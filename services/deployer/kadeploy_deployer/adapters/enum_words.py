"""Enum values of other services' messages as the deployer's words. One that is not known is refused, never guessed."""

from collections.abc import Mapping
from typing import TypeVar

from kadeploy_edge.errors import NotInState

_Word = TypeVar("_Word")


class UnknownValue(NotInState):
    """Another service says a word that this deployer does not know: it is newer than the deployer."""

    reason = "UNKNOWN_VALUE"

    def __init__(self, service: str, field: str, number: int) -> None:
        """Says who said what in which field."""
        super().__init__(
            f"{service} says {field} = {number}, which this deployer does not know: it is older than the {service}; "
            "upgrade the deployer",
            metadata={"service": service, "field": field, "value": str(number)},
        )


def word(words: Mapping[int, _Word], number: int, field: str, *, unspecified: _Word | None = None) -> _Word:
    """Returns the word of an enum value of the inventory's.

    Args:
        words: the words by number.
        number: the value.
        field: as an error names it.
        unspecified: what the contract says that 0 means; None: 0 is no value.

    Raises:
        UnknownValue: the deployer knows no such value.
    """
    if number == 0 and unspecified is not None:
        return unspecified
    if number not in words:
        raise UnknownValue("inventory", field, number)
    return words[number]
