"""Which of a machine's disks a disk of the inventory is."""

from dataclasses import dataclass
from typing import Final

from kadeploy_inventory.domain.names import parse_device_file, parse_disk_link
from kadeploy_inventory.domain.problems import Problems
from kadeploy_inventory.domain.texts import parse_line

MAXIMUM_WORD: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskIdentity:
    """What tells a disk from the others of its machine. Empty and zero say nothing; all else has to hold together."""

    serial: str = ""
    wwn: str = ""
    link: str = ""
    kernel_name: str = ""
    size_bytes: int = 0


NO_IDENTITY: Final = DiskIdentity()
"""Of a disk that is found by its name."""


def check_identity(identity: DiskIdentity, problems: Problems) -> None:
    """Adds what is wrong with an identity."""
    for field, text in (("serial", identity.serial), ("wwn", identity.wwn)):
        problems.take(field, parse_line, text)
        if len(text) > MAXIMUM_WORD:
            problems.add(field, f"must not be longer than {MAXIMUM_WORD} characters")
        if text != text.strip():
            problems.add(field, f"must not begin or end with a blank: {text!r}")
    if identity.link:
        problems.take("link", parse_disk_link, identity.link)
    if identity.kernel_name:
        problems.take("kernel_name", parse_device_file, identity.kernel_name)
    if identity.size_bytes < 0:
        problems.add("size_bytes", f"must be positive, not {identity.size_bytes}")
