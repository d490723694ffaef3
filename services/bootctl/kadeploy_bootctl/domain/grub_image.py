"""A GRUB image: a loader with one configuration inside, for machines whose own loader is pxelinux."""

import hashlib
import re
from dataclasses import dataclass

# Part of every name: a change of the modules inside makes new images.
_FORMAT = "1"
_FILE_NAME = re.compile(r"grub-[0-9a-f]{64}\.lkrn\Z")
_MENTION = re.compile(r"grub-[0-9a-f]{64}\.lkrn")


@dataclass(frozen=True, slots=True, kw_only=True)
class GrubImage:
    """What stands inside an image. Equal configurations share one image."""

    configuration: str

    @property
    def name(self) -> str:
        """The image's file name, which follows from what is inside."""
        content = f"{_FORMAT}\n{self.configuration}".encode("ascii")
        return f"grub-{hashlib.sha256(content).hexdigest()}.lkrn"


def is_image_name(name: str) -> bool:
    """Tells whether a file name is one of an image."""
    return _FILE_NAME.match(name) is not None


def mentioned_in(text: str) -> frozenset[str]:
    """Returns the names of the images that a loader file names."""
    return frozenset(_MENTION.findall(text))
