"""Which libraries a program needs."""

import struct
from pathlib import Path

import pytest

from deployenv.elf import is_elf, library_closure, needed, section
from deployenv.failure import BuildFailure


def elf(*libraries: str) -> bytes:
    """Makes the smallest ELF file that has the two sections in which wanted libraries are named."""
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in libraries)
    offsets = [strings.index(name.encode() + b"\0") for name in libraries]
    dynamic = b"".join(struct.pack("<qQ", 1, offset) for offset in offsets) + struct.pack("<qQ", 0, 0)
    names = b"\0.dynamic\0.dynstr\0.shstrtab\0"
    body = dynamic + strings + names
    start = 64

    def header(name: bytes, offset: int, size: int) -> bytes:
        return struct.pack("<IIQQQQIIQQ", names.index(name), 0, 0, 0, offset, size, 0, 0, 0, 0)

    table = (
        bytes(64)
        + header(b".dynamic\0", start, len(dynamic))
        + header(b".dynstr\0", start + len(dynamic), len(strings))
        + header(b".shstrtab\0", start + len(dynamic) + len(strings), len(names))
    )
    head = bytearray(64)
    head[:6] = b"\x7fELF\x02\x01"
    struct.pack_into("<Q", head, 0x28, start + len(body))
    struct.pack_into("<HHH", head, 0x3A, 64, 4, 3)
    return bytes(head) + body + table


def test_a_section_is_found_by_its_name() -> None:
    assert section(elf("libc.so.6"), ".dynstr") == b"\0libc.so.6\0"
    assert section(elf(), ".modinfo") == b""


def test_the_libraries_that_a_program_asks_for_are_named() -> None:
    assert needed(elf("libz.so.1", "libc.so.6")) == ("libz.so.1", "libc.so.6")
    assert is_elf(elf())
    assert not is_elf(b"#!/bin/sh\n")


def test_libraries_of_libraries_are_found_too(tmp_path: Path) -> None:
    (tmp_path / "libz.so.1").write_bytes(elf("libc.so.6"))
    (tmp_path / "libc.so.6").write_bytes(elf())
    programs = {"tar": elf("libz.so.1"), "init": b"#!/bin/sh\n"}

    assert library_closure(programs, [tmp_path / "none", tmp_path]) == {
        "libz.so.1": tmp_path / "libz.so.1",
        "libc.so.6": tmp_path / "libc.so.6",
    }


def test_a_missing_library_stops_the_build_and_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildFailure, match=r"tar needs libz\.so\.1"):
        library_closure({"tar": elf("libz.so.1")}, [tmp_path])
