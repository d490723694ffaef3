"""The disks of this machine, each with all that tells it from the others."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

LSBLK = ("lsblk", "--json", "--bytes", "--list", "--output", "PATH,TYPE,SIZE,SERIAL,WWN,MODEL,TRAN,RM")
LSBLK_SECONDS = 60
# A loop device stands for a disk in tests, and on nodes where the site's own scripts make one.
TYPES = frozenset({"disk", "loop", "mpath"})
# In memory, or without a medium of their own.
NO_DISKS = ("zram", "ram", "nbd", "fd", "mtdblock")
LINK_FOLDERS = ("by-id", "by-path")


def disks(folder: str = "/dev/disk") -> list[dict[str, object]]:
    """Returns the disks with a medium, in the order of lsblk. `folder`: where udev's links are."""
    done = subprocess.run(LSBLK, capture_output=True, check=True, timeout=LSBLK_SECONDS)
    return read_disks(json.loads(done.stdout), links(folder))


def read_disks(
    answer: Mapping[str, Sequence[Mapping[str, object]]], found_links: Mapping[str, Sequence[str]]
) -> list[dict[str, object]]:
    """Returns the disks of lsblk's answer, each with its links; a disk that two others lead to stands once."""
    found: dict[str, dict[str, object]] = {}
    for device in answer.get("blockdevices", []):
        name = _text(device, "path").removeprefix("/dev/")
        size = int(_text(device, "size") or 0)
        if device.get("type") not in TYPES or size <= 0 or not name or name.startswith(NO_DISKS):
            continue
        found[name] = {
            "name": name,
            "size_bytes": size,
            "serial": _text(device, "serial"),
            "wwn": _text(device, "wwn"),
            "model": _text(device, "model"),
            "transport": _text(device, "tran"),
            "removable": bool(device.get("rm")),
            "links": sorted(found_links.get(name, [])),
        }
    return list(found.values())


def links(folder: str) -> dict[str, list[str]]:
    """Returns udev's links below a folder ("by-path/pci-…") by the name of the device that each leads to."""
    found: dict[str, list[str]] = {}
    for kind in LINK_FOLDERS:
        try:
            paths = list(Path(folder, kind).iterdir())
        except FileNotFoundError:
            continue
        for path in paths:
            found.setdefault(str(path.resolve()).removeprefix("/dev/"), []).append(f"{kind}/{path.name}")
    return found


def _text(device: Mapping[str, object], key: str) -> str:
    value = device.get(key)
    return "" if value is None else str(value).strip()
