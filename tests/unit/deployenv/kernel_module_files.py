"""Kernel modules small enough to be written by a test: ELF files with what a module says of itself, and its symbols."""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from kadeploy_deployenv.kernel import Kernel

RELEASE = "6.1.0-test"
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_GLOBAL = 0x10
_PROGBITS, _SYMTAB, _STRTAB = 1, 2, 3


def module_file(*records: str) -> bytes:
    """Returns a module that says these records of itself, such as "alias=…" and "firmware=…".

    "exports=NAME" and "needs=NAME" become its symbols: by them depmod finds out which module needs which.
    """
    said = [record for record in records if not record.startswith(("exports=", "needs="))]
    exports = [record.partition("=")[2] for record in records if record.startswith("exports=")]
    needs = [record.partition("=")[2] for record in records if record.startswith("needs=")]
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in needs)
    symbols = _SYMBOL.pack(0, 0, 0, 0, 0, 0)
    for name in needs:
        symbols += _SYMBOL.pack(strings.index(name.encode() + b"\0"), _GLOBAL, 0, 0, 0, 0)
    return _elf(
        {
            ".modinfo": (_PROGBITS, _joined(said)),
            "__ksymtab_strings": (_PROGBITS, _joined(exports)),
            ".strtab": (_STRTAB, strings),
            ".symtab": (_SYMTAB, symbols),
        }
    )


def _joined(words: Sequence[str]) -> bytes:
    return b"".join(word.encode() + b"\0" for word in words)


def _elf(sections: Mapping[str, tuple[int, bytes]]) -> bytes:
    names = b"\0" + _joined([*sections, ".shstrtab"])
    content, headers = b"", [_SECTION.pack(*[0] * 10)]
    for name, (kind, data) in {**sections, ".shstrtab": (_STRTAB, names)}.items():
        link, size = (list(sections).index(".strtab") + 1, _SYMBOL.size) if kind == _SYMTAB else (0, 0)
        at = _HEADER.size + len(content)
        headers.append(_SECTION.pack(names.index(name.encode() + b"\0"), kind, 0, 0, at, len(data), link, 0, 1, size))
        content += data
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    table = _HEADER.size + len(content)
    header = _HEADER.pack(
        identity, 1, 62, 1, 0, 0, table, 0, _HEADER.size, 0, 0, _SECTION.size, len(headers), len(headers) - 1
    )
    return header + content + b"".join(headers)


def kernel(folder: Path, modules: Mapping[str, Sequence[str]], *, built_in: Sequence[str] = ()) -> Kernel:
    """Returns a kernel whose modules are files below `folder`, by their path below "kernel/"."""
    home = folder / "lib/modules" / RELEASE
    for path, records in modules.items():
        file = home / "kernel" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(module_file(f"name={file.name.split('.')[0]}", *records))
    (home / "modules.order").write_text("".join(f"kernel/{path}\n" for path in modules))
    (home / "modules.builtin").write_text("".join(f"kernel/{path}\n" for path in built_in))
    image = folder / "vmlinuz"
    image.write_bytes(b"kernel")
    return Kernel(image=image, release=RELEASE, modules=home)
