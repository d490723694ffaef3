"""Verifying the tree: directories, loaders, labels, space, files that would win over our entries. Changes nothing."""

import os
import re
import stat
from collections.abc import Iterator, Mapping

from kadeploy_bootctl.domain.errors import TreeDamaged
from kadeploy_bootctl.domain.finding import Finding, FindingKind
from kadeploy_bootctl.domain.label import KernelLabel
from kadeploy_bootctl.tree.directory import Directory
from kadeploy_bootctl.tree.entry_batch import is_ours
from kadeploy_bootctl.tree.layout import DEFAULT_NAME, GRUB_DEFAULT_NAME, Layout, Repository
from kadeploy_bootctl.tree.loaders import UEFI_LOADER, Sources, loaders

# pxelinux asks for the machine's UUID before anything that we write.
_UUID_NAME = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_OTHERS_READ_FILE = stat.S_IROTH
_OTHERS_READ_DIRECTORY = stat.S_IROTH | stat.S_IXOTH


def check_tree(
    layout: Layout, *, labels: Mapping[str, KernelLabel], sources: Sources, reserved_bytes: int
) -> list[Finding]:
    """Returns what is wrong with the tree."""
    findings: list[Finding] = []
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
        if not os.access(".", os.W_OK | os.X_OK, dir_fd=directory.fd):
            description = "bootctl cannot write it: it must belong to the user of bootctl"
            yield Finding(kind=FindingKind.NOT_WRITABLE, path=path, description=description)
        mode = os.fstat(directory.fd).st_mode
        if is_public and mode & _OTHERS_READ_DIRECTORY != _OTHERS_READ_DIRECTORY:
            description = "the TFTP server, which is another user, cannot read it: chmod 755"
            yield Finding(kind=FindingKind.NOT_WRITABLE, path=path, description=description)
        free = directory.free_bytes()
        if is_public and free < reserved_bytes:
            description = f"{free} bytes are free, less than the {reserved_bytes} of reserved_bytes"
            yield Finding(kind=FindingKind.LITTLE_SPACE, path=path, description=description)


def _loader_findings(layout: Layout, place: Repository, sources: Sources) -> Iterator[Finding]:
    for loader in loaders(place.loader, sources):
        path = place.files if loader.beside_kernels else place.path
        if problem := _file_problem(layout, path, loader.name):
            yield Finding(
                kind=FindingKind.MISSING_LOADER,
                path=f"{path}/{loader.name}",
                description=f"{problem}: run kadeploy-bootctl init (Debian package {loader.package})",
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
    if not status.st_mode & _OTHERS_READ_FILE:
        return "the TFTP server cannot read it"
    return ""
