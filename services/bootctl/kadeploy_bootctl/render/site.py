"""What every loader file of a site has in common: its settings and its first line."""

from collections.abc import Mapping
from dataclasses import dataclass

from kadeploy_bootctl.domain.boot_entry import BootEntry
from kadeploy_bootctl.domain.boot_target import LabelTarget
from kadeploy_bootctl.domain.errors import LabelNotFound
from kadeploy_bootctl.domain.label import KernelLabel

MARK = "# Written by kadeploy-bootctl"
"""How the first line of each of our files begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the settings say of every file.

    Attributes:
        files_path: the directory of kernels and initrds, relative to the repository.
        labels: the deployment kernels by label.
        serial: the loader's serial console as "PORT SPEED"; empty for none.
        unknown_machines: the label that machines without an entry boot; empty: their disk.
        http_url: where the first repository is served by HTTP, without a slash at its end; empty: all comes by TFTP.
    """

    files_path: str
    labels: Mapping[str, KernelLabel]
    serial: str = ""
    http_url: str = ""
    unknown_machines: str = ""


def header(entry: BootEntry) -> str:
    """Returns the first line of an entry's file, without the sign of a comment."""
    return f"{MARK[2:]} for {entry.node.name}, owner: {entry.owner or '-'}. Changes by hand are lost."


def default_header(site: Site) -> str:
    """Returns the first line of the file for machines without an entry, without the sign of a comment."""
    what = f"boot the kernel '{site.unknown_machines}'" if site.unknown_machines else "boot from their disk"
    return f"{MARK[2:]} for machines without an entry: they {what}."


def label_of(target: LabelTarget, site: Site) -> KernelLabel:
    """Returns the label that a target names, or raises LabelNotFound."""
    label = site.labels.get(target.label)
    if label is None:
        known = ", ".join(sorted(site.labels)) or "none"
        raise LabelNotFound(target.label, f"is not in the settings, which know: {known}")
    return label
