"""What can go wrong with boot entries and boot files, each of one kind."""

from collections.abc import Sequence

from kadeploy_edge.errors import Denied, Exhausted, FieldViolation, Invalid, Missing


class InvalidBootEntry(Invalid):
    """A field of a boot entry cannot be accepted."""

    reason = "INVALID_BOOT_ENTRY"

    def __init__(self, field: str, description: str) -> None:
        violation = FieldViolation(field=field, description=description)
        super().__init__(
            f"the boot entry's {field} {description}",
            metadata={"field": field, "description": description},
            violations=(violation,),
        )


class InvalidBootLogRequest(Invalid):
    """The moment from which a boot log is wanted is none."""

    reason = "INVALID_BOOT_LOG_REQUEST"

    def __init__(self) -> None:
        violation = FieldViolation(field="start_time", description="is no time from the year 1 to 9999")
        super().__init__("start_time is no time from the year 1 to 9999", violations=(violation,))


class CustomTargetDenied(Denied):
    """A custom target comes from a caller who is not an administrator."""

    reason = "ADMINISTRATORS_ONLY"

    def __init__(self, caller: str) -> None:
        super().__init__(
            f"only an administrator may write a custom boot file, and {caller or 'an unnamed caller'} is none",
            metadata={"caller": caller},
        )


class InvalidNodeSet(Invalid):
    """The text is no node set."""

    reason = "INVALID_NODE_SET"

    def __init__(self, text: str, description: str) -> None:
        shown = text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - a line of a terminal
        super().__init__(
            f"the node set {shown!r} {description}",
            metadata={"nodes": shown, "description": description},
            violations=(FieldViolation(field="nodes", description=description),),
        )


class BootEntryNotFound(Missing):
    """The node has no boot entry: it boots what the default file says."""

    reason = "BOOT_ENTRY_NOT_FOUND"

    def __init__(self, node: str) -> None:
        super().__init__(f"node {node!r} has no boot entry", metadata={"node": node})


class LabelNotFound(Missing):
    """The settings do not know the label, or its files are not in the tree."""

    reason = "LABEL_NOT_FOUND"

    def __init__(self, label: str, problem: str) -> None:
        super().__init__(f"label {label!r} {problem}", metadata={"label": label, "problem": problem})


class BootFileNotFound(Missing):
    """No file with this content was uploaded."""

    reason = "BOOT_FILE_NOT_FOUND"

    def __init__(self, digest: str) -> None:
        super().__init__(f"there is no boot file {digest}; upload it first", metadata={"digest": digest})


class InvalidDigest(Invalid):
    """The text is not "sha256:" and 64 hexadecimal digits."""

    reason = "INVALID_DIGEST"

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text[:80]!r} is no digest; a digest is sha256: and 64 lower-case hexadecimal digits",
            metadata={"digest": text[:80]},
            violations=(FieldViolation(field="digest", description="must be sha256: and 64 hexadecimal digits"),),
        )


class InvalidUpload(Invalid):
    """The messages of an upload do not come as the contract says."""

    reason = "INVALID_UPLOAD"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message, violations=(FieldViolation(field=field, description=message),))


class DigestMismatch(Invalid):
    """What was uploaded is not what the header announced."""

    reason = "DIGEST_MISMATCH"

    def __init__(self, announced: str, found: str) -> None:
        super().__init__(
            f"the upload was announced as {announced} but is {found}; nothing was kept",
            metadata={"announced": announced, "found": found},
            violations=(FieldViolation(field="header", description=f"announced {announced}, but {found} came"),),
        )


class BootFileTooLarge(Invalid):
    """The file is larger than the settings allow."""

    reason = "BOOT_FILE_TOO_LARGE"

    def __init__(self, size: int, maximum: int) -> None:
        super().__init__(
            f"{size} bytes are more than the {maximum} that one boot file may have (maximum_file_bytes)",
            metadata={"size_bytes": str(size), "maximum_bytes": str(maximum)},
            violations=(FieldViolation(field="header.size_bytes", description=f"must be at most {maximum}"),),
        )


class NoSpace(Exhausted):
    """The file system of the TFTP tree has no room."""

    reason = "NO_SPACE"

    def __init__(self, path: str, needed: int = 0) -> None:
        wanted = f" for {needed} bytes" if needed else ""
        super().__init__(
            f"{path} has no room{wanted}; delete unused boot files or enlarge the file system",
            metadata={"path": path, "needed_bytes": str(needed)},
        )


class TreeDamaged(Missing):
    """A directory of the TFTP tree is missing or is not what it should be."""

    reason = "TREE_DAMAGED"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path} {problem}", metadata={"path": path, "problem": problem})


class UnsafePath(Invalid):
    """A name would lead out of the directories that bootctl may touch."""

    reason = "UNSAFE_PATH"

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"the file name {name!r} {problem}", metadata={"name": name, "problem": problem})


REASONS: Sequence[type[Invalid | Missing | Denied | Exhausted]] = (
    InvalidBootEntry,
    CustomTargetDenied,
    InvalidNodeSet,
    BootEntryNotFound,
    LabelNotFound,
    BootFileNotFound,
    InvalidDigest,
    InvalidUpload,
    DigestMismatch,
    BootFileTooLarge,
    NoSpace,
    TreeDamaged,
    UnsafePath,
)
"""Every error that bootctl raises by itself."""
