"""What the servicers run with."""

from collections.abc import Callable
from dataclasses import dataclass

from kadeploy_bootctl.app.ports import BootLogReader, Clock, EntryStore, FileStore, GrubImages, TreeInspector
from kadeploy_bootctl.render.site import Site
from kadeploy_edge.caller import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The ports and settings of the running service."""

    entries: EntryStore
    files: FileStore
    images: GrubImages
    inspector: TreeInspector
    logs: BootLogReader
    site: Site
    clock: Clock
    maximum_file_bytes: int
    is_administrator: Callable[[Caller], bool]
