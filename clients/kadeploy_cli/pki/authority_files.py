"""The files of the authority's directory: PEM in and out, each replaced whole."""

import os
import tempfile
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from kadeploy_cli.pki.certificates import Key
from kadeploy_cli.terminal.failures import UsageFailure

PRIVATE, PUBLIC = 0o600, 0o644
DIRECTORY = 0o700


def day(moment: datetime) -> str:
    """Returns a date as the commands print it."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def read_certificate(path: Path) -> x509.Certificate:
    """Returns the certificate of a file, or raises UsageFailure."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError:
        raise damaged(path, "certificate") from None


def damaged(path: Path, what: str) -> UsageFailure:
    """Returns the error that a file is not what it has to be."""
    return UsageFailure(f"{path} is not a {what}", advice="Take it from the backup of the authority's directory.")


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """Returns a certificate as it stands in a file."""
    return certificate.public_bytes(Encoding.PEM)


def key_pem(key: Key, encryption: KeySerializationEncryption) -> bytes:
    """Returns a private key as it stands in a file."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def write(path: Path, content: bytes, mode: int) -> None:
    """Replaces a file whole; a private one is never readable by others, not for a moment."""
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(number, "wb") as file:
            os.fchmod(number, mode)
            file.write(content)
            file.flush()
            os.fsync(number)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_key(path: Path, secret: bytes | None) -> object:
    """Returns the private key of a file, or raises UsageFailure. `secret`: the passphrase, None where it has none."""
    try:
        return load_pem_private_key(path.read_bytes(), password=secret)
    except TypeError:
        if secret is None:
            raise UsageFailure(f"{path} is encrypted: give --passphrase-file") from None
        raise UsageFailure(f"{path} is not encrypted: leave --passphrase-file out") from None
    except (ValueError, UnsupportedAlgorithm):
        raise UsageFailure(f"{path} cannot be opened: is the passphrase the right one?") from None
