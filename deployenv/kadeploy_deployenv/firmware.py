"""Firmware files: which the drivers want, which of them a folder of firmware has, and who does without."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# As the kernel itself looks for them.
HOME = "usr/lib/firmware"
_ENDINGS = ("", ".xz", ".zst")
_SHOWN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareChoice:
    """What goes in and what is missing.

    Attributes:
        files: the files that go in, by their path below `HOME`.
        missing: names of files that are not there, by the module that wants them.
    """

    files: Mapping[str, Path]
    missing: Mapping[str, tuple[str, ...]]


def choose_firmware(wanted: Mapping[str, tuple[str, ...]], root: Path | None) -> FirmwareChoice:
    """Returns what the packages below `root` have of the wanted files; with None they have nothing."""
    files: dict[str, Path] = {}
    missing: dict[str, tuple[str, ...]] = {}
    for module, names in sorted(wanted.items()):
        found = {name: _found(name, root) for name in names}
        files |= {path: root / HOME / path for path in found.values() if root and path}
        if absent := tuple(name for name, path in found.items() if not path):
            missing[module] = absent
    return FirmwareChoice(files=files, missing=missing)


def report(missing: Mapping[str, tuple[str, ...]], *, allowed: bool) -> list[str]:
    """Returns a line for each driver that wants firmware which is not in the environment."""
    if not missing:
        return []
    cause = "no package of this suite has them" if allowed else "--firmware would look for them"
    lines = [f"{len(missing)} drivers want firmware files that are not included ({cause}):"]
    for module, names in sorted(missing.items()):
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        lines.append(f"  {module}: {', '.join(names[:_SHOWN])}{more}")
    return lines


def _found(name: str, root: Path | None) -> str:
    """Returns the path of a firmware file below `HOME`, which may have an ending more; empty if it is not there."""
    if root is None:
        return ""
    return next((name + ending for ending in _ENDINGS if (root / HOME / (name + ending)).is_file()), "")
