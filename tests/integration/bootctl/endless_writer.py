"""Writes the entries of many nodes again and again, each time with other texts, until it is killed."""

import itertools
import sys
from pathlib import Path

from kadeploy_bootctl import bootstrap
from kadeploy_bootctl.app.ports import WrittenEntry
from kadeploy_bootctl.domain.boot_entry import BootEntry, BootNode
from kadeploy_bootctl.domain.boot_target import LabelTarget
from kadeploy_bootctl.render.loader_file import render
from kadeploy_bootctl.render.site import Site
from kadeploy_bootctl.settings import Settings
from kadeploy_bootctl.tree.entry_store import TftpEntryStore

NODES = 60


def main() -> None:
    """Announces itself with one line as soon as the tree is open."""
    settings = Settings.load(Path(sys.argv[1]))
    site = bootstrap.site_of(settings)
    store = TftpEntryStore(bootstrap.layout_of(settings))
    store.open()
    sys.stdout.write("writing\n")
    sys.stdout.flush()
    for round_number in itertools.count():
        store.put([written(number, round_number, site) for number in range(NODES)])


def written(number: int, round_number: int, site: Site) -> WrittenEntry:
    """Returns an entry whose text shows whether it is whole."""
    node = BootNode(
        name=f"n{number}",
        mac_address=f"52:54:00:00:00:{number:02x}",
        # The address moves, so that names come and go.
        ip_address=f"172.31.{1 + round_number % 3}.{number + 1}",
    )
    target = LabelTarget(label="deploy", arguments=f"begin={round_number} {'x' * 1500} end={round_number}")
    entry = BootEntry(node=node, target=target, owner="d1")
    return WrittenEntry(entry=entry, text=render(entry, site))


if __name__ == "__main__":
    main()
