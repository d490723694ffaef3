"""Requests that nobody would send: any message of a contract, some of its fields well-formed and some not.

Everything is drawn from the descriptors, so a new call and a new field are fuzzed without a line here.
"""

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as some

# Words that mean something somewhere, so that requests get past the first check and into the next one.
PLAUSIBLE = (
    *(
        "node-1",
        "node-2",
        "node-[1-3]",
        "node-[01-03]",
        "*",
        "default",
        "big",
        "debian",
        "alice",
        "root",
        "sda",
        "sda3",
    ),
    *("52:54:00:00:00:01", "02:00:00:00:00:09", "10.0.0.1", "10.0.0.9", "ext4", "swap", "undefined", "/boot/vmlinuz"),
    *("file:///srv/a.tar.zst", "https://host/a.tar.gz", "sha256:" + "ab" * 32, "name", "disks", "profile", "labels"),
    *("image", "visibility", "mac_address", "node.name", "ipmitool", "{node}", "{label:rack}", "rack"),
)
STRANGE = (
    *(
        "",
        " ",
        "\0",
        "a\nb",
        "é",
        "\N{PILE OF POO}",
        "\u017f",
        "'",
        '"',
        "%s",
        "{",
        "}",
        "{0}",
        "{{",
        "{x",
        "\\",
        "$(id)",
    ),
    *("..", "/", "../../etc/passwd", "node-[1-", "node-[5-1]", "node-[1-999999999]", "[1-9][1-9][1-9][1-9][1-9]"),
    *("@all", "node-1!node-1", "node-1&x", "x" * 64, "x" * 300, "x" * 5000, "file://", "http://[", "sda0", "1", "-1"),
    *("٣", "node-٣", "::1", "10.0.0.256", "DROP TABLE nodes", "\ufeff", "a\u202eb"),
)
NUMBERS = (0, 1, 2, 3, 5, 130, 131, -1, 255, 512, 10**6, 2**31 - 1, -(2**31), 2**40, 2**63 - 1, -(2**63))
MOST_ITEMS = 3
DEEPEST = 6

texts = some.one_of(some.sampled_from(PLAUSIBLE), some.sampled_from(STRANGE), some.text(max_size=12))


def filled(draw: Callable[[some.SearchStrategy[Any]], Any], kind: Descriptor, depth: int = 0) -> Message:
    """Returns a message, most of whose fields hold something."""
    message: Message = GetMessageClass(kind)()
    for field in kind.fields:
        if not draw(some.integers(0, 3)):
            continue
        if field.message_type and field.message_type.GetOptions().map_entry:
            _put(draw, message, field)
        elif field.message_type:
            if depth < DEEPEST - 2:
                inner = [filled(draw, field.message_type, depth + 1) for _ in range(draw(some.integers(0, 2)))]
                if field.is_repeated:
                    getattr(message, field.name).extend(inner)
                elif inner:
                    getattr(message, field.name).CopyFrom(inner[0])
        elif field.is_repeated:
            getattr(message, field.name).extend(draw(some.lists(_scalar(field), max_size=MOST_ITEMS)))
        else:
            setattr(message, field.name, draw(_scalar(field)))
    return message


def mutate(draw: Callable[[some.SearchStrategy[Any]], Any], message: Message, depth: int = 0) -> None:
    """Changes some fields of a message, at any depth, in place."""
    fields = list(message.DESCRIPTOR.fields)
    if not fields:
        return
    for field in draw(some.lists(some.sampled_from(fields), min_size=1, max_size=2, unique_by=lambda one: one.name)):
        present = _messages(message, field)
        if present and depth < DEEPEST and draw(some.integers(0, 3)):
            mutate(draw, draw(some.sampled_from(present)), depth + 1)
        elif field.message_type and field.message_type.GetOptions().map_entry:
            _put(draw, message, field)
        elif field.is_repeated:
            _change_list(draw, message, field, depth)
        elif field.message_type:
            getattr(message, field.name).CopyFrom(_made(draw, field.message_type, depth))
        else:
            setattr(message, field.name, draw(_scalar(field)))


def _put(draw: Callable[[some.SearchStrategy[Any]], Any], message: Message, field: Any) -> None:
    entry, value = field.message_type.fields_by_name["value"], getattr(message, field.name)
    if entry.message_type:
        mutate(draw, value[draw(texts)])
    else:
        value[draw(texts)] = draw(_scalar(entry))


def _messages(message: Message, field: FieldDescriptor) -> list[Message]:
    if not field.message_type or field.message_type.GetOptions().map_entry:
        return []
    if field.is_repeated:
        return list(getattr(message, field.name))
    return [getattr(message, field.name)] if message.HasField(field.name) else []


def _change_list(
    draw: Callable[[some.SearchStrategy[Any]], Any], message: Message, field: FieldDescriptor, depth: int
) -> None:
    items = getattr(message, field.name)
    wish = draw(some.sampled_from(("clear", "double", "add", "add")))
    if wish == "clear":
        message.ClearField(field.name)
    elif wish == "double" and items:
        items.append(items[0])
    elif field.message_type:
        items.append(_made(draw, field.message_type, depth))
    else:
        items.extend(draw(some.lists(_scalar(field), min_size=1, max_size=MOST_ITEMS)))


def _made(draw: Callable[[some.SearchStrategy[Any]], Any], kind: Descriptor, depth: int) -> Message:
    made: Message = GetMessageClass(kind)()
    if depth < DEEPEST and draw(some.booleans()):
        mutate(draw, made, depth + 1)
    return made


def _scalar(field: FieldDescriptor) -> some.SearchStrategy[Any]:
    if field.enum_type:
        return some.sampled_from([*field.enum_type.values_by_number, 99, -1])
    if field.type == FieldDescriptor.TYPE_STRING:
        return texts
    if field.type == FieldDescriptor.TYPE_BYTES:
        return some.binary(max_size=8)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return some.booleans()
    if field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
        return some.floats()
    unsigned = field.type in (FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_UINT64)
    wide = field.type in (FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT64)
    least, most = (0 if unsigned else -(2 ** (63 if wide else 31))), 2 ** (63 if wide else 31) - 1
    return some.sampled_from([number for number in NUMBERS if least <= number <= most])
