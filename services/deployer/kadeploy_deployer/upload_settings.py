"""What the settings say of uploads: where they are kept, and how much of them."""

from dataclasses import dataclass
from pathlib import Path

from kadeploy_edge.settings_file import Table

MOST_GIB = 1024 * 1024.0
MOST_HOURS = 24 * 366.0
_DIRECTORY = (
    "Where the files are kept that users upload from hosts whose files the deployer cannot see. The deployer's alone; "
    'several deployers share it. Default: "uploads" in cache_directory; what is in it cannot be made again.'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSettings:
    """How users may bring files.

    Attributes:
        directory: where they are kept; None: below the cache's.
        max_gib: the largest file; 0: the site takes none.
        quota_gib: of one user.
        keep_hours: how long one is kept that nothing names.
    """

    directory: Path | None = None
    max_gib: float = 64.0
    quota_gib: float = 200.0
    keep_hours: float = 24.0


def read_uploads(table: Table, cache: Path) -> UploadSettings:
    """Returns what the file says of uploads, or raises BadSettings. `cache`: the cache's directory."""
    return UploadSettings(
        directory=table.path("upload_directory", cache / "uploads", doc=_DIRECTORY),
        max_gib=table.number(
            "upload_max_gib",
            64,
            least=0,
            most=MOST_GIB,
            unit="GiB",
            doc="The largest file that a user may upload; 0: the site takes no uploads.",
        ),
        quota_gib=table.number(
            "upload_quota_gib", 200, least=0, most=MOST_GIB, unit="GiB", doc="How much one user may have uploaded."
        ),
        keep_hours=table.number(
            "upload_keep_hours",
            24,
            least=1,
            most=MOST_HOURS,
            unit="hours",
            doc="How long an upload is kept that no environment and no running deployment names.",
        ),
    )
