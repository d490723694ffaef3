"""GRUB images on the disk: made once for each configuration, named by it, in every repository."""

import contextlib
import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from kadeploy_bootctl.domain.errors import NoSpace
from kadeploy_bootctl.domain.grub_image import GrubImage, is_image_name
from kadeploy_bootctl.tree.directory import PUBLIC_FILE, Directory
from kadeploy_bootctl.tree.grub_mkimage import GrubMkimage
from kadeploy_bootctl.tree.layout import Layout

logger = logging.getLogger(__name__)


class TftpGrubImages:
    """The images of a tree.

    Args:
        layout: where things are.
        grub: makes the images.
        reserved_bytes: what stays free.
    """

    def __init__(self, layout: Layout, *, grub: GrubMkimage, reserved_bytes: int) -> None:
        self._layout = layout
        self._grub = grub
        self._reserved_bytes = reserved_bytes

    def make(self, image: GrubImage) -> None:
        """As in the port."""
        with self._places() as places:
            lacking = [place for place in places if not place.is_file(image.name)]
            for place in places:
                if place not in lacking:
                    # Its age begins anew, or it could be collected before the entry is there.
                    os.utime(image.name, dir_fd=place.fd, follow_symlinks=False)
            if not lacking:
                return
            content = self._grub.bios_image(image.configuration)
            for place in lacking:
                if place.free_bytes() - self._reserved_bytes < len(content):
                    raise NoSpace(place.path, len(content))
                temporary = place.write(content, mode=PUBLIC_FILE)
                place.make_durable([temporary])
                place.rename(temporary, image.name)
                place.sync()
        logger.info("image=%s size=%d made", image.name, len(content))

    def delete_unused(self, used: frozenset[str], *, now: datetime, keep: timedelta) -> None:
        """As in the port."""
        with self._places() as places:
            for place in places:
                for name in filter(is_image_name, place.names()):
                    status = place.status(name)
                    is_old = status is not None and now - datetime.fromtimestamp(status.st_mtime, tz=UTC) > keep
                    if name not in used and is_old:
                        place.remove(name)
                place.sync()

    @contextlib.contextmanager
    def _places(self) -> Iterator[tuple[Directory, ...]]:
        with contextlib.ExitStack() as opened:
            yield tuple(
                opened.enter_context(Directory.open(self._layout.root, place.files))
                for place in self._layout.repositories
            )
