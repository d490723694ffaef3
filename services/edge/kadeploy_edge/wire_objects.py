"""How many objects a request would become, counted in its bytes before one is made.

Two bytes can be a whole message, which takes two hundred in memory. So a request of a few megabytes could become
gigabytes. Only messages and entries of maps are counted: what else stands in a request takes not much more than its
bytes. Fields that the contract does not know stay bytes.
"""

import functools
from collections.abc import Mapping

from google.protobuf.descriptor import Descriptor, FieldDescriptor

_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}
_MORE, _LOW_BITS = 0x80, 0x7F


class NotCountable(ValueError):
    """The bytes are no message, or hold groups, which the contracts do without."""


def count_objects(content: bytes, kind: Descriptor, *, most: int) -> int:
    """Returns how many messages and map entries are in a message; counts no further than one more than `most`.

    Raises:
        NotCountable: the bytes are cut off or make no sense.
    """
    count = 0
    waiting = [(0, len(content), kind)]
    while waiting and count <= most:
        place, end, inner = waiting.pop()
        fields = _message_fields(inner)
        while place < end and count <= most:
            tag, place = _varint(content, place)
            wire_type = tag & 7
            if wire_type == _VARINT:
                _, place = _varint(content, place)
                continue
            if wire_type != _DELIMITED:
                if wire_type not in _FIXED_SIZES:
                    raise NotCountable
                place += _FIXED_SIZES[wire_type]
                continue
            size, place = _varint(content, place)
            if (found := fields.get(tag >> 3)) is not None:
                count += 1
                if size and _message_fields(found):
                    waiting.append((place, place + size, found))
            place += size
        if place > end:
            raise NotCountable
    return count


@functools.cache
def _message_fields(kind: Descriptor) -> Mapping[int, Descriptor]:
    """Returns the types of the fields that are messages, or maps, by number."""
    found = ((field.number, field.message_type) for field in kind.fields if field.type == FieldDescriptor.TYPE_MESSAGE)
    return {number: inner for number, inner in found if inner is not None}


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """Returns the number at a place, and the place behind it."""
    value = shift = 0
    try:
        while (byte := content[place]) & _MORE:
            value |= (byte & _LOW_BITS) << shift
            shift += 7
            place += 1
            if shift > 63:  # noqa: PLR2004 - bits
                raise NotCountable
    except IndexError:
        raise NotCountable from None
    return value | byte << shift, place + 1
