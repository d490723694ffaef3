"""The directories of this host in which the files of environments may lie."""

import errno
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from kadeploy_deployer.adapters.confined_open import OpenBeneath, open_beneath, open_directory
from kadeploy_deployer.ports import ImageError


class ImageDirectories:
    """Opens files below the directories that the site named, and no others.

    What is not for everybody is not sent to anybody's nodes: a file must be readable for others, or belong to the
    deployer's own account or to a group that the site named. One that others may not read has a single name, for a
    second one may have been given to it by somebody who may not read it.

    Args of the constructor:
        directories: absolute paths.
        groups: numbers of groups whose files may be used when others cannot read them.
        open_file: how a file below a directory is opened.
        account: the deployer's own.
    """

    def __init__(
        self,
        directories: Sequence[Path],
        *,
        groups: frozenset[int] = frozenset(),
        open_file: OpenBeneath = open_beneath,
        account: Callable[[], int] = os.geteuid,
    ) -> None:
        # Users may write either name of a directory that is a link.
        self._names = [(each, (each, Path(os.path.realpath(each)))) for each in directories]
        self._groups = groups
        self._open = open_file
        self._account = account

    def check(self, uri: str) -> None:
        """Raises ImageError if a file:// address lies outside of all directories. Looks at no file."""
        self._place(uri)

    def open(self, uri: str) -> int:
        """Returns a descriptor of a regular file for reading. May block. Raises ImageError."""
        directory, path = self._place(uri)
        try:
            above = open_directory(directory)
            try:
                descriptor = self._open(above, path)
            finally:
                os.close(above)
        except OSError as error:
            if error.errno == errno.EXDEV:
                raise self._outside(uri) from None
            raise ImageError(f"{uri} cannot be read on the deployer's host: {error.strerror}") from None
        try:
            self._judge(uri, os.fstat(descriptor))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _place(self, uri: str) -> tuple[Path, str]:
        """Returns the directory below which an address lies, and the path from there on."""
        path = PurePosixPath(unquote(urlsplit(uri).path))
        if path.is_absolute() and ".." not in path.parts and "\0" not in str(path):
            for directory, names in self._names:
                for name in names:
                    if path.is_relative_to(name) and path != PurePosixPath(name):
                        return directory, str(path.relative_to(name))
        raise self._outside(uri)

    def _outside(self, uri: str) -> ImageError:
        # The same words whatever is there: they tell nobody which files there are.
        places = ", ".join(str(directory) for directory, _ in self._names) or "none"
        return ImageError(f"{uri} lies outside of the directories that images may be in: {places}")

    def _judge(self, uri: str, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{uri} is no regular file")
        if status.st_mode & stat.S_IROTH:
            return
        own = status.st_uid == self._account()
        shared = bool(status.st_mode & stat.S_IRGRP) and status.st_gid in self._groups
        if not own and not shared:
            raise ImageError(
                f"{uri} is not for everybody: make it readable for others, or for a group that the deployer's settings "
                "name (image_groups)"
            )
        if status.st_nlink != 1:
            raise ImageError(f"{uri} is not readable for others and has {status.st_nlink} names; it may have one")
