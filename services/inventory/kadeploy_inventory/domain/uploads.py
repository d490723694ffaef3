"""Addresses of files that users uploaded to the deployer: they name owner, content and size themselves."""

import re

from kadeploy_inventory.domain.problems import Problems

SCHEME = "upload"
_URI = re.compile(r"upload:///([A-Za-z0-9_][A-Za-z0-9_.@-]{0,62})/sha256-([0-9a-f]{64})-([1-9][0-9]{0,15})\Z")


def parse_upload(uri: str) -> tuple[str, str, int]:
    """Returns owner, digest and size of an upload, or raises ValueError."""
    found = _URI.match(uri)
    if not found:
        raise ValueError(f"must be upload:///OWNER/sha256-HEX-SIZE: {uri!r}")
    return found[1], f"sha256:{found[2]}", int(found[3])


def check_upload(uri: str, digest: str, size: int, *, owner: str, problems: Problems) -> None:
    """Adds what speaks against an upload in an environment; other addresses are passed over.

    A digest is no secret, so it opens nobody else's upload: each environment names those of its own owner.
    """
    if not uri.startswith(f"{SCHEME}:"):
        return
    try:
        uploader, uploaded, length = parse_upload(uri)
    except ValueError:
        return
    if uploader != owner:
        problems.add("uri", f"is an upload of {uploader}, and the environment belongs to {owner}: upload it yourself")
    if (uploaded, length) != (digest, size):
        problems.add("digest", "is not that of the upload; record the environment anew with the uploaded file")
