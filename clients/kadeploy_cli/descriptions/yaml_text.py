"""YAML with line numbers: mappings, lists and scalars that can say where they stand."""

from collections.abc import Iterator

import yaml

from kadeploy_cli.descriptions.problem_list import ProblemList
from kadeploy_cli.descriptions.text import DescriptionFailure, shown

NULL = "tag:yaml.org,2002:null"
BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
MAXIMUM_NUMBER = 1 << 62
MAXIMUM_DIGITS = 18


class Place:
    """A value in a YAML file, by the path of keys that leads to it."""

    def __init__(self, node: yaml.Node, source: str, path: str) -> None:
        self._node = node
        self.source = source
        self.path = path

    @property
    def node(self) -> yaml.Node:
        """What the YAML library read here."""
        return self._node

    @property
    def line(self) -> int:
        """The line where the value begins."""
        return self._node.start_mark.line + 1

    def failure(self, message: str) -> DescriptionFailure:
        """Returns the error that names the value's line and key."""
        return DescriptionFailure(self.source, self.line, f"{self.path}: {message}" if self.path else message)

    def fields(self, known: tuple[str, ...], problems: ProblemList | None = None) -> dict[str, "Place"]:
        """Returns the values of a mapping that has no other keys than these. `problems`: see entries."""
        fields: dict[str, Place] = {}
        for key, value in self.entries(problems):
            if key in known:
                fields[key] = value
            else:
                _refuse(value.failure(f"is no key here; known are {', '.join(known)}"), problems)
        return fields

    def entries(self, problems: ProblemList | None = None) -> Iterator[tuple[str, "Place"]]:
        """Gives the keys and values of a mapping with any keys.

        Args:
            problems: gets what cannot be accepted, which is then left out; None raises it.
        """
        if not isinstance(self._node, yaml.MappingNode):
            _refuse(self.failure("a mapping (key: value) is expected"), problems)
            return
        seen: set[str] = set()
        for key_node, value_node in self._node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            path = f"{self.path}.{key}" if self.path else str(key)
            place = Place(value_node, self.source, path)
            if key is None:
                line = key_node.start_mark.line + 1
                _refuse(DescriptionFailure(self.source, line, "a word is expected as key"), problems)
            elif key in seen:
                _refuse(place.failure("stands twice"), problems)
            else:
                seen.add(key)
                yield key, place

    def items(self) -> list["Place"]:
        """Returns the values of a list."""
        if not isinstance(self._node, yaml.SequenceNode):
            raise self.failure("a list is expected")
        return [Place(node, self.source, f"{self.path}[{index}]") for index, node in enumerate(self._node.value)]

    @property
    def is_list(self) -> bool:
        """True for a list."""
        return isinstance(self._node, yaml.SequenceNode)

    @property
    def is_empty(self) -> bool:
        """True when nothing, or `null`, stands behind the key."""
        return bool(self._node.tag == NULL)

    @property
    def is_mapping(self) -> bool:
        """True for a mapping."""
        return isinstance(self._node, yaml.MappingNode)

    def text(self) -> str:
        """Returns a scalar as it was written."""
        if not isinstance(self._node, yaml.ScalarNode):
            raise self.failure("a text is expected (in quotes when it begins with a brace or a bracket)")
        return "" if self.is_empty else _paired(str(self._node.value))

    def number(self, minimum: int, maximum: int) -> int:
        """Returns a whole number in bounds; 0x83 is one too."""
        word = self.text()
        base = 16 if word.lower().startswith("0x") else 10
        digits = word[2:] if base == 16 else word  # noqa: PLR2004
        # int() takes more than people mean by a number: signs, "1_000", other scripts' digits, endless ones.
        plain = digits.isascii() and digits.isalnum() and len(digits) <= MAXIMUM_DIGITS
        try:
            value = int(digits, base) if plain else None
        except ValueError:
            value = None
        if value is None or not minimum <= value <= min(maximum, MAXIMUM_NUMBER):
            raise self.failure(f"a whole number from {minimum} to {maximum} is expected, not {shown(word)}")
        return value

    def seconds(self) -> float:
        """Returns a span of time in seconds."""
        word = self.text()
        try:
            value = float(word) if len(word) <= MAXIMUM_DIGITS else -1.0
        except ValueError:
            value = -1.0
        if not 0 <= value <= 86_400:  # noqa: PLR2004
            raise self.failure(f"a number of seconds from 0 to 86400 is expected, not {shown(word)}")
        return value

    def boolean(self) -> bool:
        """Returns true or false."""
        word = self.text().lower()
        if word not in BOOLEANS:
            raise self.failure(f"true or false is expected, not {shown(word)}")
        return BOOLEANS[word]

    def choice(self, words: tuple[str, ...]) -> str:
        """Returns one of the words."""
        word = self.text()
        if word not in words:
            raise self.failure(f"one of {', '.join(words)} is expected, not {shown(word)}")
        return word


def _paired(text: str) -> str:
    """Joins the two halves in which JSON writes what is beyond 16 bits."""
    if not any("\ud800" <= letter <= "\udfff" for letter in text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _refuse(problem: DescriptionFailure, problems: ProblemList | None) -> None:
    if problems is None:
        raise problem
    problems.add(problem)


def parse(text: str, source: str) -> Place:
    """Returns the root of a YAML file, or raises DescriptionFailure."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise DescriptionFailure(source, line, f"is not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise DescriptionFailure(source, 0, f"is not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise DescriptionFailure(source, 0, "is nested too deep") from None
    if node is None:
        raise DescriptionFailure(source, 0, "is empty")
    return Place(node, source, "")
