"""Writes docs/api.md: the contracts with their comments, read from the descriptor set that `make proto` makes.

python protos/reference.py docs/api.md
"""

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from google.protobuf import descriptor_pb2

from kadeploy.access.v1 import access_pb2
from kadeploy.limits.v1 import limits_pb2

DESCRIPTORS = Path(__file__).resolve().parents[1] / "build" / "protos" / "descriptors.binpb"
OURS = "kadeploy/"
# The numbers of fields in google/protobuf/descriptor.proto, of which paths to comments are made.
MESSAGES, ENUMS, SERVICES, FIELDS, METHODS, VALUES = 4, 5, 6, 2, 2, 2
TYPES: Mapping[int, str] = {
    value.number: value.name.removeprefix("TYPE_").lower()
    for value in descriptor_pb2.FieldDescriptorProto.Type.DESCRIPTOR.values
}
HEADER = """\
# Reference of the API

Made from the contracts by `make docs`; what the words mean stands in [architecture.md](architecture.md), who is called
what in [identity.md](identity.md), how to call from a program in [api-clients.md](api-clients.md).

A method says who may call it. *Changing* ones leave an audit record; those that *can be delegated* may be called with
a user's delegation. Errors are `google.rpc.Status` with an `ErrorInfo`, whose reason is one of the words in capitals.
Times and spans are `google.protobuf.Timestamp` and `Duration`.
"""


class Comments:
    """The comments of one file, by the path to what they stand at."""

    def __init__(self, file: descriptor_pb2.FileDescriptorProto) -> None:
        self._found = {
            tuple(location.path): location.leading_comments.strip() for location in file.source_code_info.location
        }

    def at(self, *path: int) -> str:
        """Returns the comment as one paragraph a part, with nothing that Markdown would take for its own."""
        text = self._found.get(path, "")
        parts = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text)]
        return "\n\n".join(parts).replace("<", "&lt;").replace("*", r"\*")


def render(described: descriptor_pb2.FileDescriptorSet) -> str:
    """Returns the page."""
    ours = sorted((file for file in described.file if file.name.startswith(OURS)), key=_order)
    lines = [HEADER]
    for file in ours:
        lines += _file(file)
    return "\n".join(lines).rstrip("\n") + "\n"


def _order(file: descriptor_pb2.FileDescriptorProto) -> tuple[str, bool, str]:
    """Orders by package, the file with the services first."""
    return (file.package, not file.service, file.name)


def _file(file: descriptor_pb2.FileDescriptorProto) -> Iterator[str]:
    comments = Comments(file)
    yield f"\n## `{file.name}`\n"
    yield f"{comments.at(12) or comments.at(2)}\n"
    for number, service in enumerate(file.service):
        yield from _service(file, service, number, comments)
    for number, message in enumerate(file.message_type):
        yield from _message(file, message, (MESSAGES, number), comments)
    for number, enum in enumerate(file.enum_type):
        yield f"\n#### {_anchor(file.package, enum.name)}{enum.name}\n"
        yield f"{comments.at(ENUMS, number)}\n"
        rows = [
            (f"`{value.name}`", comments.at(ENUMS, number, VALUES, index)) for index, value in enumerate(enum.value)
        ]
        yield from _table(("value", "meaning"), rows)


def _service(
    file: descriptor_pb2.FileDescriptorProto,
    service: descriptor_pb2.ServiceDescriptorProto,
    number: int,
    comments: Comments,
) -> Iterator[str]:
    yield f"\n### {_anchor(file.package, service.name)}{file.package}.{service.name}\n"
    yield f"{comments.at(SERVICES, number)}\n"
    for index, method in enumerate(service.method):
        yield f"\n#### {method.name}\n"
        request, response = (_link(name) for name in (method.input_type, method.output_type))
        came, goes = ("stream of " if one else "" for one in (method.client_streaming, method.server_streaming))
        yield f"{came}{request} → {goes}{response} · {_access(method)}\n"
        yield f"{comments.at(SERVICES, number, METHODS, index)}\n"


def _access(method: descriptor_pb2.MethodDescriptorProto) -> str:
    """Returns who may call a method, and what a call leaves."""
    options = method.options
    names = (access_pb2.Caller.Name(kind) for kind in options.Extensions[access_pb2.allow])
    found = ["for " + ", ".join(name.removeprefix("CALLER_").lower().replace("_", " ") for name in names)]
    for name, extension in (("changing", access_pb2.changing), ("can be delegated", access_pb2.delegable)):
        if options.Extensions[extension]:
            found.append(f"*{name}*")
    return " · ".join(found)


def _message(
    file: descriptor_pb2.FileDescriptorProto,
    message: descriptor_pb2.DescriptorProto,
    path: tuple[int, ...],
    comments: Comments,
) -> Iterator[str]:
    yield f"\n#### {_anchor(file.package, message.name)}{message.name}\n"
    if text := comments.at(*path):
        yield f"{text}\n"
    maps = {f".{file.package}.{message.name}.{one.name}": one for one in message.nested_type if one.options.map_entry}
    rows = []
    for index, field in enumerate(message.field):
        notes = [comments.at(*path, FIELDS, index), _bound(field)]
        if field.HasField("oneof_index") and not field.proto3_optional:
            notes.insert(0, f"One of `{message.oneof_decl[field.oneof_index].name}`.")
        rows.append(
            (f"`{field.name}`", str(field.number), _type(field, maps), " ".join(note for note in notes if note))
        )
    yield from _table(("field", "number", "type", "meaning"), rows)


def _type(field: descriptor_pb2.FieldDescriptorProto, maps: Mapping[str, descriptor_pb2.DescriptorProto]) -> str:
    if field.type_name in maps:
        key, value = maps[field.type_name].field
        return f"map of {_type(key, {})} to {_type(value, {})}"
    name = _link(field.type_name) if field.type_name else TYPES[field.type]
    if field.label == descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED:
        return f"list of {name}"
    return f"optional {name}" if field.proto3_optional else name


def _bound(field: descriptor_pb2.FieldDescriptorProto) -> str:
    bound = field.options.Extensions[limits_pb2.bound]
    parts = [f"{bound.items:,} elements"] * bool(bound.items) + [f"{bound.bytes:,} bytes"] * bool(bound.bytes)
    return f"At most {' of '.join(parts)}." if parts else ""


def _link(name: str) -> str:
    package, _, last = name.lstrip(".").rpartition(".")
    return f"[{last}](#{_id(package, last)})" if package.startswith("kadeploy.") else last


def _anchor(package: str, name: str) -> str:
    return f'<a id="{_id(package, name)}"></a>'


def _id(package: str, name: str) -> str:
    return f"{package}.{name}".removeprefix("kadeploy.").replace(".", "-").lower()


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        yield "No fields.\n"
        return
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---' for _ in head)} |"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '&#124;').replace(chr(10), ' ') for cell in row)} |"
    yield ""


def read() -> descriptor_pb2.FileDescriptorSet:
    """Returns the contracts with their comments."""
    return descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())


def main() -> int:
    """Writes the page, or with --check says whether it is the present one; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is not the present one")
    parser.add_argument("page", type=Path)
    options = parser.parse_args()
    text = render(read())
    if not options.check:
        options.page.write_text(text, encoding="utf-8")
    elif not options.page.exists() or options.page.read_text(encoding="utf-8") != text:
        sys.stderr.write(f"{options.page} is not what the contracts say: run `make docs`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
