"""Reads what the builders need from 64-bit little-endian ELF files: sections and wanted libraries."""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from deployenv.failure import BuildFailure

_MAGIC = b"\x7fELF\x02\x01"
_TAG_NEEDED = 1
# e_shoff stands at 0x28; e_shentsize, e_shnum and e_shstrndx follow each other at 0x3a.
_SECTION_TABLE_OFFSET = struct.Struct("<Q")
_SECTION_TABLE_SHAPE = struct.Struct("<HHH")
_SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")
_DYNAMIC = struct.Struct("<qQ")


def is_elf(data: bytes) -> bool:
    """Tells whether the bytes begin like a 64-bit little-endian ELF file."""
    return data.startswith(_MAGIC)


def section(data: bytes, name: str) -> bytes:
    """Returns a section's content, or nothing if the file has no such section."""
    (table,) = _SECTION_TABLE_OFFSET.unpack_from(data, 0x28)
    size, count, names_index = _SECTION_TABLE_SHAPE.unpack_from(data, 0x3A)
    headers = [_SECTION_HEADER.unpack_from(data, table + size * index) for index in range(count)]
    if not headers:
        return b""
    names_start = headers[names_index][4]
    for header in headers:
        start = names_start + header[0]
        if data[start : data.index(b"\0", start)] == name.encode():
            return data[header[4] : header[4] + header[5]]
    return b""


def needed(data: bytes) -> tuple[str, ...]:
    """Returns the names of the shared libraries that a program or library asks for."""
    strings = section(data, ".dynstr")
    found = []
    for tag, value in _DYNAMIC.iter_unpack(section(data, ".dynamic")):
        if tag == _TAG_NEEDED:
            found.append(strings[value : strings.index(b"\0", value)].decode())
    return tuple(found)


def library_closure(programs: Mapping[str, bytes], folders: Sequence[Path]) -> dict[str, Path]:
    """Returns the shared libraries that the programs need, directly or not: where each lies, by name.

    `programs` maps a name for messages to the content. A library that is in none of the folders stops the build: a
    program that cannot start is better found here than on a node.
    """
    found: dict[str, Path] = {}
    waiting = dict(programs)
    while waiting:
        program, data = waiting.popitem()
        if not is_elf(data):
            continue
        for name in needed(data):
            if name in found or name in programs:
                continue
            path = next((folder / name for folder in folders if (folder / name).exists()), None)
            if path is None:
                raise BuildFailure(
                    f"{program} needs {name}, which is in none of the packages; add its package to the recipe"
                )
            found[name] = path
            waiting[name] = path.read_bytes()
    return found
