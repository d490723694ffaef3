"""Setting, clearing, showing and rendering boot entries."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

from kadeploy_bootctl.app.ports import Clock, EntryStore, FileStore, GrubImages, WrittenEntry
from kadeploy_bootctl.domain import node_set
from kadeploy_bootctl.domain.boot_entry import BootEntry
from kadeploy_bootctl.domain.boot_target import CustomTarget, LabelTarget, files_of
from kadeploy_bootctl.domain.errors import (
    BootEntryNotFound,
    BootFileNotFound,
    CustomTargetDenied,
    LabelNotFound,
)
from kadeploy_bootctl.domain.grub_image import GrubImage
from kadeploy_bootctl.render.loader_file import image_of, render
from kadeploy_bootctl.render.site import Site
from kadeploy_edge.errors import DomainError

# Other writers get their turn between two portions of a large batch.
PORTION = 1000

T = TypeVar("T")

EntryRequest = BootEntry | DomainError
"""One entry of a request, or why it is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requester:
    """Who asks, and whether the settings know him as an administrator."""

    name: str
    is_administrator: bool


def set_boot_entries(
    requests: Sequence[EntryRequest],
    *,
    requester: Requester,
    entries: EntryStore,
    files: FileStore,
    images: GrubImages,
    site: Site,
    clock: Clock,
) -> list[DomainError | None]:
    """Writes entries; returns for each, in order, what went wrong or None. A bad entry does not stop the others."""
    outcomes: list[DomainError | None] = []
    for portion in _portions(requests):
        # Before the lock: an image takes a tenth of a second.
        with_images = _make_images(portion, images)
        with entries.exclusive():
            preparation = _Preparation(files=files, site=site)
            prepared = [preparation.attempt(request, requester) for request in with_images]
            outcomes += _put(with_images, prepared, entries=entries, clock=clock)
    return outcomes


def render_boot_entries(
    requests: Sequence[EntryRequest], *, entries: EntryStore, files: FileStore, site: Site
) -> list[DomainError | list[tuple[str, str]]]:
    """Returns for each entry, in order, the paths and texts that set_boot_entries would write, or why it would not.

    Uploaded files may follow: a plan is shown before anything is brought here.
    """
    preparation = _Preparation(files=files, site=site, files_may_follow=True)
    results: list[DomainError | list[tuple[str, str]]] = []
    for request in requests:
        text = preparation.attempt(request)
        if isinstance(text, DomainError) or isinstance(request, DomainError):
            results.append(text if isinstance(text, DomainError) else [])
        else:
            results.append([(path, text) for path in entries.paths(request.node)])
    return results


def clear_boot_entries(nodes: str, *, entries: EntryStore) -> list[tuple[str, DomainError | None]]:
    """Removes the entries of a node set; returns for each node, in its order, what went wrong or None."""
    names = node_set.expand(nodes)
    results: list[tuple[str, DomainError | None]] = []
    for portion in _portions(names):
        with entries.exclusive():
            results += zip(portion, entries.remove(portion), strict=True)
    return results


def get_boot_entry(name: str, *, entries: EntryStore) -> WrittenEntry:
    """Returns the node's entry, or raises BootEntryNotFound."""
    found = entries.get(name)
    if found is None:
        raise BootEntryNotFound(name)
    return found


def list_boot_entries(nodes: str, *, after: str, limit: int, entries: EntryStore) -> tuple[list[BootEntry], bool]:
    """Returns at most `limit` entries of a node set (all when empty) by name, and whether more follow."""
    wanted = frozenset(node_set.expand(nodes)) if nodes else None
    following = (
        written.entry
        for written in entries.all()
        if written.entry.node.name > after and (wanted is None or written.entry.node.name in wanted)
    )
    found = list(islice(following, limit + 1))
    return found[:limit], len(found) > limit


class _Preparation:
    """Checks and renders the entries of one call; each file and label is looked up once."""

    def __init__(self, *, files: FileStore, site: Site, files_may_follow: bool = False) -> None:
        self._files = files
        self._files_may_follow = files_may_follow
        self._site = site
        self._present: dict[str, bool] = {}
        self._label_problems: dict[str, str] = {}

    def attempt(self, request: EntryRequest, requester: Requester | None = None) -> str | DomainError:
        """Returns the text of the entry's files, or what is wrong with it; without a requester nothing is written."""
        if isinstance(request, DomainError):
            return request
        if requester and isinstance(request.target, CustomTarget) and not requester.is_administrator:
            return CustomTargetDenied(requester.name)
        try:
            return self._text(request)
        except DomainError as error:
            return error

    def _text(self, entry: BootEntry) -> str:
        text = render(entry, self._site)
        if isinstance(entry.target, LabelTarget):
            self._check_label(entry.target.label)
        for digest in () if self._files_may_follow else sorted(files_of(entry.target)):
            if digest not in self._present:
                self._present[digest] = self._files.get(digest) is not None
            if not self._present[digest]:
                raise BootFileNotFound(digest)
        return text

    def _check_label(self, name: str) -> None:
        if name not in self._label_problems:
            label = self._site.labels[name]
            missing = self._files.missing_plain_files([label.kernel, label.initrd] if label.initrd else [label.kernel])
            self._label_problems[name] = ", ".join(missing)
        if missing := self._label_problems[name]:
            raise LabelNotFound(name, f"is not installed ({missing}): run kadeploy-bootctl label install {name}")


def _make_images(requests: Sequence[EntryRequest], images: GrubImages) -> list[EntryRequest]:
    """Makes the images that the entries name; returns the requests, with the error for those without."""
    made: dict[str, DomainError | None] = {}
    results: list[EntryRequest] = []
    for request in requests:
        problem: DomainError | None = None
        try:
            image = image_of(request) if isinstance(request, BootEntry) else None
            if image and image.name not in made:
                made[image.name] = _attempt(images, image)
            problem = made[image.name] if image else None
        except DomainError as error:
            problem = error
        results.append(problem or request)
    return results


def _attempt(images: GrubImages, image: GrubImage) -> DomainError | None:
    try:
        images.make(image)
    except DomainError as error:
        return error
    return None


def _put(
    requests: Sequence[EntryRequest], prepared: Sequence[str | DomainError], *, entries: EntryStore, clock: Clock
) -> list[DomainError | None]:
    now = clock()
    good = [
        WrittenEntry(entry=replace(request, update_time=now), text=text)
        for request, text in zip(requests, prepared, strict=True)
        if isinstance(request, BootEntry) and isinstance(text, str)
    ]
    written: Iterator[DomainError | None] = iter(entries.put(good))
    return [text if isinstance(text, DomainError) else next(written) for text in prepared]


def _portions(items: Sequence[T]) -> Iterable[Sequence[T]]:
    return (items[start : start + PORTION] for start in range(0, len(items), PORTION))
