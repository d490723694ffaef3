"""Laying the tree out and installing deployment kernels: what an administrator does on the command line, not a call."""

import errno
import os
import pwd
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kadeploy_bootctl.domain.errors import TreeDamaged
from kadeploy_bootctl.domain.label import KernelLabel
from kadeploy_bootctl.tree.directory import PUBLIC_FILE, Directory, check_name, write_all
from kadeploy_bootctl.tree.grub_mkimage import GrubMissing
from kadeploy_bootctl.tree.layout import Layout, Repository
from kadeploy_bootctl.tree.loaders import UEFI_LOADER, Loader, Sources, loaders
from kadeploy_edge.errors import Invalid, Missing

PUBLIC_DIRECTORY = 0o755
PRIVATE_DIRECTORY = 0o700
COPY_BYTES = 1 << 20

NetworkGrub = Callable[[str], bytes]
"""Makes the loader of machines with UEFI for the directory of the nodes' files, relative to the repository."""


class LoadersMissing(Missing):
    """This host does not have the loaders."""

    reason = "LOADERS_MISSING"

    def __init__(self, missing: Sequence[Loader]) -> None:
        files = ", ".join(sorted({str(loader.source) for loader in missing}))
        packages = " ".join(sorted({loader.package for loader in missing}))
        super().__init__(
            f"this host lacks {files}: apt-get install {packages}", metadata={"files": files, "packages": packages}
        )


class UnknownUser(Invalid):
    """The tree is to be given to a user who does not exist."""

    reason = "UNKNOWN_USER"


class SourceUnreadable(Missing):
    """A file that is to be copied into the tree cannot be read."""

    reason = "SOURCE_UNREADABLE"

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path} {problem}", metadata={"path": str(path), "problem": problem})


def lay_out(
    layout: Layout, *, sources: Sources, defaults: Mapping[str, str], network_grub: NetworkGrub, owner: str = ""
) -> list[str]:
    """Makes directories, loaders and default files that are not there, and returns a line for each thing done.

    Args:
        layout: the tree.
        sources: the loaders of this host.
        defaults: texts by file name, for machines without an entry; such a file that is there stays.
        network_grub: makes the loader of machines with UEFI for a directory of nodes' files.
        owner: the user who gets the directories that bootctl writes; empty: whoever calls.

    Raises:
        LoadersMissing: some are not on this host; nothing was written then.
    """
    _check_sources(layout, sources)
    account = _account(owner)
    done: list[str] = []
    try:
        _make_root(layout.root)
        for place in layout.repositories:
            done += _make_directories(layout.root, place.path, PUBLIC_DIRECTORY)
        for path in layout.public_directories:
            done += _make_directories(layout.root, path, PUBLIC_DIRECTORY, account)
        for path in layout.private_directories:
            done += _make_directories(layout.root, path, PRIVATE_DIRECTORY, account)
        for place in layout.repositories:
            for loader in loaders(place.loader, sources):
                path = place.files if loader.beside_kernels else place.path
                done += _install(layout.root, path, loader.name, loader.source)
            if sources.uefi:
                done += _install_network_grub(layout, place, network_grub)
        done += _write_defaults(layout, defaults, account)
    except PermissionError as error:
        raise TreeDamaged(str(error.filename or layout.root), "cannot be written by this user") from None
    except (FileExistsError, NotADirectoryError) as error:
        raise TreeDamaged(str(error.filename or layout.root), "must be a directory") from None
    return done


def install_label(layout: Layout, label: KernelLabel, *, kernel: Path, initrd: Path | None) -> list[str]:
    """Copies a deployment kernel and its initrd into every repository, each in one step; returns what was written."""
    sources = [(label.kernel, kernel)]
    if label.initrd and initrd is not None:
        # The initrd first: a machine that boots in between gets the old kernel with the new initrd's modules at worst.
        sources.insert(0, (label.initrd, initrd))
    for _, source in sources:
        _check_readable(source)
    return [
        line
        for place in layout.repositories
        for name, source in sources
        for line in _install(layout.root, place.files, name, source)
    ]


def _make_root(root: Path) -> None:
    for directory in [*reversed(root.parents), root]:
        if not directory.exists():
            directory.mkdir()
            directory.chmod(PUBLIC_DIRECTORY)  # whatever the umask says: the TFTP server runs as another user


def _check_sources(layout: Layout, sources: Sources) -> None:
    wanted = {loader.source: loader for place in layout.repositories for loader in loaders(place.loader, sources)}
    missing = [loader for path, loader in wanted.items() if not path.is_file()]
    if missing:
        raise LoadersMissing(missing)


def _account(owner: str) -> tuple[int, int] | None:
    if not owner:
        return None
    try:
        found = pwd.getpwnam(owner)
    except KeyError:
        raise UnknownUser(f"there is no user {owner!r} on this host", metadata={"user": owner}) from None
    return found.pw_uid, found.pw_gid


def _make_directories(root: Path, path: str, mode: int, account: tuple[int, int] | None = None) -> list[str]:
    made: list[str] = []
    parts = path.split("/")
    for depth, part in enumerate(parts):
        parent_path = "/".join(parts[:depth])
        with _opened(root, parent_path) as parent:
            try:
                os.mkdir(check_name(part), mode, dir_fd=parent.fd)
            except FileExistsError:
                continue
        done = "/".join(parts[: depth + 1])
        with Directory.open(root, done) as directory:
            os.fchmod(directory.fd, mode)  # whatever the umask says
        made.append(f"made {done}/")
    with Directory.open(root, path) as directory:
        if account is not None:
            os.fchown(directory.fd, *account)
    return made


def _opened(root: Path, path: str) -> Directory:
    if path:
        return Directory.open(root, path)
    return Directory("", os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))


def _install(root: Path, path: str, name: str, source: Path) -> list[str]:
    """Copies a file into a directory of the tree in one step, unless it is there with the same content."""
    _check_readable(source)
    with Directory.open(root, path) as directory, source.open("rb") as file:
        if _is_same(directory, name, source):
            return []
        with directory.create(mode=PUBLIC_FILE) as (temporary, fd):
            while portion := file.read(COPY_BYTES):
                write_all(fd, portion)
            os.fsync(fd)
            directory.rename(temporary, name)
        directory.sync()
    return [f"wrote {path}/{name}"]


def _is_same(directory: Directory, name: str, source: Path) -> bool:
    status, size = directory.status(name), source.stat().st_size
    if status is None or status.st_size != size or status.st_mode & 0o777 != PUBLIC_FILE:
        return False
    return directory.read(name, limit=size + 1) == source.read_bytes()


def _check_readable(source: Path) -> None:
    try:
        with source.open("rb") as file:
            if not file.read(1):
                raise SourceUnreadable(source, "is empty")
    except OSError as error:
        words = {errno.ENOENT: "does not exist", errno.EISDIR: "is a directory"}
        raise SourceUnreadable(source, words.get(error.errno or 0, "cannot be read by this user")) from None


def _install_network_grub(layout: Layout, place: Repository, network_grub: NetworkGrub) -> list[str]:
    try:
        content = network_grub(place.configuration.removeprefix(f"{place.path}/"))
    except GrubMissing as missing:
        return [f"left out {place.path}/{UEFI_LOADER}, so machines with UEFI cannot boot: {missing.message}"]
    with Directory.open(layout.root, place.path) as directory:
        if directory.read(UEFI_LOADER, limit=len(content) + 1) == content:
            return []
        temporary = directory.write(content, mode=PUBLIC_FILE)
        directory.make_durable([temporary])
        directory.rename(temporary, UEFI_LOADER)
        directory.sync()
    return [f"wrote {place.path}/{UEFI_LOADER}"]


def _write_defaults(layout: Layout, texts: Mapping[str, str], account: tuple[int, int] | None) -> list[str]:
    done: list[str] = []
    for place in layout.repositories:
        with Directory.open(layout.root, place.configuration) as directory:
            for name, text in texts.items():
                if directory.status(name) is not None:
                    continue
                temporary = directory.write(text.encode(), mode=PUBLIC_FILE)
                directory.make_durable([temporary])
                if account is not None:
                    os.chown(temporary, *account, dir_fd=directory.fd, follow_symlinks=False)
                directory.rename(temporary, name)
                directory.sync()
                done.append(f"wrote {place.configuration}/{name}")
    return done
