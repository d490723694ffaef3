"""Verifying the tree: directories, owners, loaders, labels, space, files that would win over our entries.

Changes nothing. Run as root it judges by the owners, for root can write everything.
"""

import os
import pwd
import re
import stat
from collections.abc import Iterator, Mapping

from kadeploy_bootctl.domain.errors import TreeDamaged
from kadeploy_bootctl.domain.finding import Finding, FindingKind
from kadeploy_bootctl.domain.label import KernelLabel
from kadeploy_bootctl.tree.directory import Directory
from kadeploy_bootctl.tree.entry_batch import is_ours
from kadeploy_bootctl.tree.layout import DEFAULT_NAME, GRUB_DEFAULT_NAME, Layout, Repository
from kadeploy_bootctl.tree.loaders import UEFI_LOADER, Loader, Sources, loaders

# pxelinux asks for the machine's UUID before anything that we write.
_UUID_NAME = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_READ_FILE = stat.S_IROTH
_OTHERS_READ_DIRECTORY = stat.S_IROTH | stat.S_IXOTH


def check_tree(
    layout: Layout, *, labels: Mapping[str, KernelLabel], sources: Sources, reserved_bytes: int
) -> list[Finding]:
    """Returns what is wrong with the tree."""
    findings: list[Finding] = []
    for place in layout.repositories:
        findings += _safety_findings(layout, place.path)
    for path in layout.private_directories:
        findings += _directory_findings(layout, path, is_public=False, reserved_bytes=reserved_bytes)
    for path in layout.public_directories:
        findings += _directory_findings(layout, path, is_public=True, reserved_bytes=reserved_bytes)
    for place in layout.repositories:
        findings += _loader_findings(layout, place, sources)
        findings += _uefi_findings(layout, place) if sources.uefi else ()
        findings += _configuration_findings(layout, place, sources)
        findings += _label_findings(layout, place, labels)
    return findings


def _directory_findings(layout: Layout, path: str, *, is_public: bool, reserved_bytes: int) -> Iterator[Finding]:
    try:
        directory = Directory.open(layout.root, path)
    except TreeDamaged as error:
        yield Finding(kind=FindingKind.MISSING_DIRECTORY, path=path, description=error.message)
        return
    with directory:
        status = os.fstat(directory.fd)
        mode = status.st_mode
        service = _service_user(layout)
        if not os.access(".", os.W_OK | os.X_OK, dir_fd=directory.fd):
            description = "bootctl cannot write it: it must belong to the user of bootctl"
            yield Finding(kind=FindingKind.NOT_WRITABLE, path=path, description=description)
        elif service not in {None, status.st_uid} and not mode & stat.S_IWGRP:
            description = f"it belongs to {_user(status.st_uid)} and bootctl's notes to {_user(service)}: chown it"
            yield Finding(kind=FindingKind.NOT_WRITABLE, path=path, description=description)
        if not is_public and mode & _OTHERS:
            description = "others than bootctl can read or change its notes: chmod 700"
            yield Finding(kind=FindingKind.UNSAFE_PERMISSIONS, path=path, description=description)
        if is_public:
            yield from _safety_findings(layout, path)
        if is_public and mode & _OTHERS_READ_DIRECTORY != _OTHERS_READ_DIRECTORY:
            description = "the TFTP server, which is another user, cannot read it: chmod 755"
            yield Finding(kind=FindingKind.NOT_WRITABLE, path=path, description=description)
        free = directory.free_bytes()
        if is_public and free < reserved_bytes:
            description = f"{free} bytes are free, less than the {reserved_bytes} of reserved_bytes"
            yield Finding(kind=FindingKind.LITTLE_SPACE, path=path, description=description)


def _safety_findings(layout: Layout, path: str) -> Iterator[Finding]:
    """Tells of a directory in which every user of this host could put what machines boot."""
    try:
        with Directory.open(layout.root, path) as directory:
            mode = os.fstat(directory.fd).st_mode
    except TreeDamaged:
        return  # told as a missing directory, or by its loaders
    if mode & stat.S_IWOTH:
        description = "every user of this host can change what machines boot: chmod o-w"
        yield Finding(kind=FindingKind.UNSAFE_PERMISSIONS, path=path, description=description)


def _service_user(layout: Layout) -> int | None:
    """Returns who owns the notes, which nobody else should touch; None when there are none."""
    try:
        with Directory.open(layout.root, layout.state) as directory:
            return os.fstat(directory.fd).st_uid
    except TreeDamaged:
        return None


def _user(uid: int | None) -> str:
    try:
        return pwd.getpwuid(uid or 0).pw_name
    except KeyError:
        return f"the user {uid}"


def _loader_findings(layout: Layout, place: Repository, sources: Sources) -> Iterator[Finding]:
    for loader in loaders(place.loader, sources):
        path = place.files if loader.beside_kernels else place.path
        if problem := _file_problem(layout, path, loader.name):
            yield Finding(
                kind=FindingKind.MISSING_LOADER,
                path=f"{path}/{loader.name}",
                description=f"{problem}: run kadeploy-bootctl init (Debian package {loader.package})",
            )
        elif _differs(layout, path, loader):
            # Parts of two releases do not work together: pxelinux then stops with "Failed to load ldlinux.c32".
            yield Finding(
                kind=FindingKind.CHANGED_FILE,
                path=f"{path}/{loader.name}",
                description=f"it is not the one of the installed package {loader.package}: run kadeploy-bootctl init",
            )


def _uefi_findings(layout: Layout, place: Repository) -> Iterator[Finding]:
    if problem := _file_problem(layout, place.path, UEFI_LOADER):
        yield Finding(
            kind=FindingKind.MISSING_LOADER,
            path=f"{place.path}/{UEFI_LOADER}",
            description=f"{problem}: run kadeploy-bootctl init (Debian packages grub-efi-amd64-bin and grub-common), "
            "or say uefi = false in [loaders] when there is no such machine",
        )


def _configuration_findings(layout: Layout, place: Repository, sources: Sources) -> Iterator[Finding]:
    for name in (DEFAULT_NAME, GRUB_DEFAULT_NAME) if sources.uefi else (DEFAULT_NAME,):
        if problem := _file_problem(layout, place.configuration, name):
            yield Finding(
                kind=FindingKind.MISSING_FILE,
                path=f"{place.configuration}/{name}",
                description=f"{problem}: machines without an entry stop at a prompt; run kadeploy-bootctl init",
            )
    try:
        with Directory.open(layout.root, place.configuration) as directory:
            foreign = [name for name in directory.names() if _UUID_NAME.match(name) and not is_ours(directory, name)]
    except TreeDamaged:
        return  # told as a missing directory
    for name in foreign:
        yield Finding(
            kind=FindingKind.UNKNOWN_FILE,
            path=f"{place.configuration}/{name}",
            description="the machine with this UUID boots it before any entry of bootctl: remove it",
        )


def _label_findings(layout: Layout, place: Repository, labels: Mapping[str, KernelLabel]) -> Iterator[Finding]:
    for label in labels.values():
        for name in filter(None, (label.kernel, label.initrd)):
            if problem := _file_problem(layout, place.files, name):
                yield Finding(
                    kind=FindingKind.MISSING_FILE,
                    path=f"{place.files}/{name}",
                    description=f"{problem}: run kadeploy-bootctl label install {label.name}",
                )


def _differs(layout: Layout, path: str, loader: Loader) -> bool:
    """Tells whether a loader is another one than this host has installed; a host without the package knows none."""
    try:
        wanted = loader.source.read_bytes()
    except OSError:
        return False
    with Directory.open(layout.root, path) as directory:
        return directory.read(loader.name, limit=len(wanted) + 1) != wanted


def _file_problem(layout: Layout, path: str, name: str) -> str:
    """Returns what keeps a machine from fetching the file, or nothing."""
    try:
        with Directory.open(layout.root, path) as directory:
            status = directory.status(name)
    except TreeDamaged:
        return "it is missing"
    if status is None:
        return "it is missing"
    if not stat.S_ISREG(status.st_mode):
        return "it is not a plain file"
    if not status.st_size:
        return "it is empty"
    if not status.st_mode & _OTHERS_READ_FILE:
        return "the TFTP server cannot read it"
    return ""
