"""Applies an update mask: the fields that it names, taken from the request, onto the resource as it stands."""

from collections.abc import Collection
from typing import Any, TypeVar

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from kadeploy_edge.errors import FieldViolation

MessageT = TypeVar("MessageT", bound=Message)
FIELD = "update_mask"


def violations(mask: FieldMask, message: Message, *, changeable: Collection[str]) -> list[FieldViolation]:
    """Returns what is wrong with a mask.

    Args:
        mask: the mask of the request.
        message: any message of the resource's type.
        changeable: the top-level fields that an update may name.
    """
    if not mask.paths:
        return [FieldViolation(field=FIELD, description="must name the fields to change")]
    found = []
    for path in mask.paths:
        if path.partition(".")[0] not in changeable:
            found.append(FieldViolation(field=FIELD, description=f"names {path}, which cannot be changed"))
        elif not _exists(path, message):
            found.append(FieldViolation(field=FIELD, description=f"names {path}, which does not exist"))
    return found


def _exists(path: str, message: Message) -> bool:
    # The two implementations of protobuf have a descriptor type each.
    descriptor: Any = message.DESCRIPTOR
    return FieldMask(paths=[path]).IsValidForDescriptor(descriptor)


def merged(present: MessageT, wanted: MessageT, mask: FieldMask) -> MessageT:
    """Returns the present message with the masked fields of the wanted one; lists and maps are replaced whole."""
    source, result = type(wanted)(), type(present)()
    source.CopyFrom(wanted)
    result.CopyFrom(present)
    for path in mask.paths:
        _set_parents(source, path)
    mask.MergeMessage(source, result, replace_message_field=True, replace_repeated_field=True)
    return result


def _set_parents(message: Message, path: str) -> None:
    """Makes the messages around a masked field present: a merge passes over absent ones and would not clear it."""
    for name in path.split(".")[:-1]:
        message = getattr(message, name)
        message.SetInParent()
