"""A boot file: kernel, initrd or module, stored once by its content."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFile:
    """What is known of one file.

    Attributes:
        digest: "sha256:<hex>" of the content.
        size: in bytes.
        description: what the first uploader called it.
        create_time: when it came.
        last_upload_time: when somebody last wanted it there; what collection goes by.
    """

    digest: str
    size: int
    description: str
    create_time: datetime
    last_upload_time: datetime
