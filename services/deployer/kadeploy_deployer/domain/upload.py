"""Uploads: files of environments that users brought. Who owns one, what is in it, and what can go wrong."""

import re
from dataclasses import dataclass

from kadeploy_edge.errors import Conflict, Exhausted, FieldViolation, Invalid, Missing, NotInState

SCHEME = "upload"
MOST_BYTES = 1 << 50
_URI = re.compile(r"upload:///([A-Za-z0-9_][A-Za-z0-9_.@-]{0,62})/sha256-([0-9a-f]{64})-([1-9][0-9]{0,15})")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_OWNER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadAddress:
    """A file of a user, by its content. `hex`: of its SHA-256; `size`: in bytes."""

    owner: str
    hex: str
    size: int

    @property
    def uri(self) -> str:
        """What environments name it by."""
        return f"{SCHEME}:///{self.owner}/sha256-{self.hex}-{self.size}"

    @property
    def digest(self) -> str:
        """The digest as environments register it."""
        return f"sha256:{self.hex}"

    @property
    def key(self) -> str:
        """The name of its file: the same for all who have it."""
        return f"{self.hex}-{self.size}"

    @classmethod
    def of(cls, *, owner: str, digest: str, size: int) -> "UploadAddress":
        """Returns the address of a content. Raises InvalidUpload."""
        found = _DIGEST.fullmatch(digest)
        if not found:
            raise InvalidUpload("digest", 'is "sha256:" and 64 hexadecimal digits in lower case')
        if not 0 < size <= MOST_BYTES:
            raise InvalidUpload("size_bytes", "is the size of the file, which is not empty")
        if not _OWNER.fullmatch(owner):
            raise InvalidUpload("owner", f"is no user name: {owner!r}")
        return cls(owner=owner, hex=found[1], size=size)

    @classmethod
    def parse(cls, uri: str) -> "UploadAddress | None":
        """Returns the address that an environment names, None for one of another kind."""
        found = _URI.fullmatch(uri)
        return cls(owner=found[1], hex=found[2], size=int(found[3])) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What is there of a file.

    `received`: bytes; `is_whole`: whether all of it is there, and proved; `used`: when somebody last looked at it, in
    seconds since 1970.
    """

    address: UploadAddress
    received: int
    used: float
    is_whole: bool = False


class InvalidUpload(Invalid):
    """An upload, or a question for one, does not come as the contract says."""

    reason = "INVALID_UPLOAD"

    def __init__(self, field: str, description: str) -> None:
        violation = FieldViolation(field=field, description=description)
        super().__init__(f"the upload cannot be accepted: {field} {description}", violations=(violation,))


class UploadDigestMismatch(Invalid):
    """What was uploaded is not what its digest says. It is removed: begin again."""

    reason = "UPLOAD_DIGEST_MISMATCH"

    def __init__(self, address: UploadAddress, found: str) -> None:
        super().__init__(
            f"{found} was received where {address.digest} was announced; it is removed, begin again",
            metadata={"announced": address.digest, "found": found},
        )


class UploadOffset(Conflict):
    """The upload goes on from another place: ask where, and go on from there."""

    reason = "UPLOAD_OFFSET"

    def __init__(self, offset: int, received: int) -> None:
        super().__init__(
            f"{received} bytes are here, and the call goes on from {offset}",
            metadata={"received_bytes": str(received)},
        )


class UploadInProgress(Conflict):
    """Another call is uploading the same file of the same owner: wait for it."""

    reason = "UPLOAD_IN_PROGRESS"

    def __init__(self, address: UploadAddress) -> None:
        text = f"{address.digest} is being uploaded for {address.owner} by another call"
        super().__init__(text, metadata={"digest": address.digest})


class UploadTooLarge(Invalid):
    """The site takes no file of this size: make it smaller, or ask the administrators."""

    reason = "UPLOAD_TOO_LARGE"

    def __init__(self, size: int, most: int) -> None:
        text = f"the file has {size:,} bytes, and the site takes uploads of at most {most:,}"
        super().__init__(text, metadata={"size_bytes": str(size), "most_bytes": str(most)})


class UploadQuotaReached(Exhausted):
    """The owner has uploaded as much as a user may have: remove something."""

    reason = "UPLOAD_QUOTA_REACHED"

    def __init__(self, owner: str, *, used: int, size: int, quota: int) -> None:
        text = f"{owner} has uploaded {used:,} of {quota:,} bytes, so {size:,} more have no room"
        super().__init__(text, metadata={"owner": owner, "used_bytes": str(used), "quota_bytes": str(quota)})


class UploadNoSpace(Exhausted):
    """There is no room for the file on the deployer's host: the administrators can make some."""

    reason = "UPLOAD_NO_SPACE"

    def __init__(self, needed: int) -> None:
        super().__init__(f"there is no room for {needed:,} bytes on the deployer's host", metadata={})


class UploadsDisabled(NotInState):
    """The site takes no uploads: put the file where the deployer can read it."""

    reason = "UPLOADS_DISABLED"

    def __init__(self) -> None:
        super().__init__("this site takes no uploads: put the file into one of its directories of images", metadata={})


class UploadNotFound(Missing):
    """The owner has no such upload."""

    reason = "UPLOAD_NOT_FOUND"

    def __init__(self, owner: str, digest: str) -> None:
        super().__init__(f"{owner} has uploaded nothing with {digest}", metadata={"owner": owner, "digest": digest})


class UploadInUse(NotInState):
    """An environment or a running deployment names the upload: remove that first."""

    reason = "UPLOAD_IN_USE"

    def __init__(self, address: UploadAddress) -> None:
        text = f"{address.uri} is named by an environment or by a running deployment"
        super().__init__(text, metadata={"uri": address.uri})
