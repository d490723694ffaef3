"""The files of `ka login`: the user's key, which is made here and stays here, and their certificate."""

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import Failure, UsageFailure
from kadeploy_edge.login_certificate import USERS_UNIT
from kadeploy_edge.tls import TlsFiles

PRIVATE, PUBLIC = 0o600, 0o644


def refuse_long_certificate(files: TlsFiles) -> None:
    """Raises Failure where a certificate that an administrator made, and that still counts, would be lost."""
    found = _certificate(files.certificate)
    if found is None or is_login_certificate(found) or datetime.now(UTC) > found.not_valid_after_utc:
        return
    raise Failure(
        f"{files.certificate} counts until {found.not_valid_after_utc.astimezone():%Y-%m-%d %H:%M}, "
        "and `ka login` did not make it",
        exit_code=ExitCode.REFUSED,
        advice="Go on with it; or --replace puts another one, and another key, in its place.",
    )


def is_login_certificate(certificate: x509.Certificate) -> bool:
    """Returns whether `ka login` got a certificate."""
    units = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    return [str(each.value) for each in units] == [USERS_UNIT]


def key_for_login(files: TlsFiles) -> ec.EllipticCurvePrivateKey:
    """Returns the key to log in with: the one before while its certificate counts, otherwise a new one.

    Commands that run meanwhile read key and certificate; with the same key they always find a pair that fits.
    """
    found = _certificate(files.certificate)
    if found is not None and is_login_certificate(found) and datetime.now(UTC) < found.not_valid_after_utc:
        try:
            key = load_pem_private_key(files.private_key.read_bytes(), password=None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == found.public_key():
            return key
    return ec.generate_private_key(ec.SECP256R1())


def make_request(key: ec.EllipticCurvePrivateKey, user: str) -> bytes:
    """Returns a certificate request, PEM."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"user:{user}"[:64])])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM)


def write_login(files: TlsFiles, key: ec.EllipticCurvePrivateKey, chain: bytes) -> None:
    """Writes key and certificate, each replaced whole; the key is readable for the user alone. Raises UsageFailure."""
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        for path, content, mode in ((files.private_key, private, PRIVATE), (files.certificate, chain, PUBLIC)):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(path, content, mode)
    except OSError as error:
        raise UsageFailure(f"{error.filename or files.certificate} cannot be written: {error.strerror}") from None


def _certificate(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())[0]
    except (OSError, ValueError):
        return None


def _replace(path: Path, content: bytes, mode: int) -> None:
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
