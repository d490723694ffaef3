"""Whether the tree can be worked with now: all its directories are there, and this process may write them."""

import os

from kadeploy_bootctl.domain.errors import TreeDamaged
from kadeploy_bootctl.tree.directory import Directory
from kadeploy_bootctl.tree.layout import Layout


def check_writable(layout: Layout) -> None:
    """Raises TreeDamaged for the first directory that is missing or cannot be written, as on a read-only disk."""
    for path in (*layout.private_directories, *layout.public_directories):
        with Directory.open(layout.root, path) as directory:
            if not os.access(".", os.W_OK | os.X_OK, dir_fd=directory.fd):
                raise TreeDamaged(f"{layout.root}/{path}", "cannot be written any more")
