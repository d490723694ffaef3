"""Host keys: reads public ones out of a text, and makes a pair for a system that has none."""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKeyPair:
    """A key pair in OpenSSH's formats."""

    private: str
    public: str


def public_keys(text: str) -> tuple[str, ...]:
    """Returns the public keys among the lines of a text, "kind base64", without comments and doubles, in order."""
    lines = (line.split() for line in text.splitlines())
    keys = [f"{words[0]} {words[1]}" for words in lines if len(words) > 1 and words[0] in KINDS]
    return tuple(dict.fromkeys(keys))


def new_host_key() -> HostKeyPair:
    """Makes an ed25519 pair."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return HostKeyPair(private=private.decode(), public=public.decode())
