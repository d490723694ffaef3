"""Rules for the texts of an entry: they end up in files that boot loaders read line by line."""

import re

from kadeploy_bootctl.domain.errors import InvalidBootEntry

# x86 kernels keep 2048 bytes, one of them for the end.
LONGEST_COMMAND_LINE = 2047
# pxelinux reads 4096 bytes at a time, newline and end included; the rest of a longer line would be a line of its own.
LONGEST_LOADER_LINE = 4094
LONGEST_OWNER = 200
LONGEST_NODE_NAME = 253
LONGEST_LABEL = 64
LONGEST_DISK_PATH = 512

_PRINTABLE = re.compile(r"[ -~]*\Z")
_CUSTOM = re.compile(r"[ -~\t\n]*\Z")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")
_DISK_PATH = re.compile(r"(?:/[A-Za-z0-9_.+~:@=-]+)+\Z")
_NODE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*\Z")


def check_arguments(field: str, text: str, *, pxelinux_reads_initrd: bool = True) -> None:
    """Raises InvalidBootEntry unless the text can stand in a kernel command line.

    Args:
        field: where the text stands in the entry, for the error.
        text: the arguments, on one line.
        pxelinux_reads_initrd: whether pxelinux looks for "initrd=" in it and would fetch what it says.
    """
    if not _PRINTABLE.match(text):
        raise InvalidBootEntry(field, "must be printable ASCII on one line: no newline, tab, NUL or other control")
    if len(text) > LONGEST_COMMAND_LINE:
        raise InvalidBootEntry(field, f"is {len(text)} characters long; a kernel takes {LONGEST_COMMAND_LINE}")
    if text != text.strip():
        raise InvalidBootEntry(field, "must not begin or end with a blank")
    if pxelinux_reads_initrd and "initrd=" in text:
        raise InvalidBootEntry(field, "must not hold initrd=, which the loader would take as a file to fetch")


def check_custom_text(field: str, text: str) -> None:
    """Raises InvalidBootEntry unless the text can be a whole loader configuration."""
    if not text.strip():
        raise InvalidBootEntry(field, "must not be empty")
    if not _CUSTOM.match(text):
        raise InvalidBootEntry(field, "must be printable ASCII with newlines and tabs alone")
    check_loader_lines(field, text)


def check_loader_lines(field: str, text: str) -> None:
    """Raises InvalidBootEntry when a line is longer than the loader reads at once."""
    longest = max((len(line) for line in text.split("\n")), default=0)
    if longest > LONGEST_LOADER_LINE:
        raise InvalidBootEntry(field, f"makes a line of {longest} characters; the loader reads {LONGEST_LOADER_LINE}")


def check_disk_path(field: str, text: str) -> None:
    """Raises InvalidBootEntry unless the text is a path in a node's own file system that GRUB takes as it stands."""
    if len(text) > LONGEST_DISK_PATH or not _DISK_PATH.match(text) or "/../" in f"{text}/":
        raise InvalidBootEntry(field, "must be a whole path without .., blanks and signs that GRUB reads otherwise")


def check_owner(field: str, text: str) -> None:
    """Raises InvalidBootEntry unless the text can stand in a comment."""
    if len(text) > LONGEST_OWNER or not _PRINTABLE.match(text):
        raise InvalidBootEntry(field, f"must be at most {LONGEST_OWNER} printable ASCII characters on one line")


def check_label(field: str, text: str) -> None:
    """Raises InvalidBootEntry unless the text can be a label's name."""
    if len(text) > LONGEST_LABEL or not _LABEL.match(text):
        raise InvalidBootEntry(field, "must be letters, digits, dots, dashes and underscores")


def is_node_name(text: str) -> bool:
    """Tells whether the text is a host name; as one it is also a safe file name."""
    return len(text) <= LONGEST_NODE_NAME and _NODE_NAME.match(text) is not None
