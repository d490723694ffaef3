"""Certificates of one side of a channel: read, checked with clear words, and made into gRPC's credentials.

A server reads its files again when they have changed, at the next connection: a renewed certificate needs no restart.
A client's are read when a channel is opened; `following_channel.py` opens another when they have changed. gRPC speaks
TLS 1.2 and 1.3 and nothing older.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from kadeploy_edge.errors import Invalid

logger = logging.getLogger(__name__)

WARN_BEFORE = timedelta(days=30)
READABLE_BY_OTHERS = 0o007

Fingerprint = tuple[tuple[int, int, int], ...]


class UnusableCertificate(Invalid):
    """A certificate, its key or the authority's certificate is not there, is damaged, or does not fit the others."""

    reason = "UNUSABLE_CERTIFICATE"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """The files of one side, all PEM.

    Attributes:
        certificate: what this side proves itself with.
        private_key: its key, without passphrase.
        ca: the authority or authorities that the other side's certificate must come from.
        revocation_list: the certificates that count no more, signed by the authority; a server reads it.
    """

    certificate: Path
    private_key: Path
    ca: Path
    revocation_list: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What stands in the files, found to fit together."""

    certificate: bytes
    private_key: bytes
    ca: bytes
    leaf: x509.Certificate


def read_material(files: TlsFiles) -> Material:
    """Reads and checks the files, or raises UnusableCertificate with the file and what is wrong with it."""
    certificate, private_key, ca = (_read(path) for path in (files.certificate, files.private_key, files.ca))
    leaf, *others = read_certificates(files.certificate, certificate)
    authorities = read_certificates(files.ca, ca)
    try:
        key = load_pem_private_key(private_key, password=None)
    except (ValueError, TypeError) as error:
        raise _unusable(files.private_key, "is not a private key in PEM form without a passphrase") from error
    if _public_bytes(key.public_key()) != _public_bytes(leaf.public_key()):
        raise _unusable(files.private_key, f"is not the key of {files.certificate}")
    if not _is_in_chain(leaf, others, authorities):
        raise _unusable(files.certificate, f"was not issued by an authority in {files.ca}")
    now = datetime.now(UTC)
    if now > leaf.not_valid_after_utc:
        raise _unusable(files.certificate, f"ended on {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; have it renewed")
    if now < leaf.not_valid_before_utc:
        begin = f"{leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        raise _unusable(files.certificate, f"begins on {begin}; is the clock of this host right?")
    return Material(certificate=certificate, private_key=private_key, ca=ca, leaf=leaf)


def read_certificates(path: Path, content: bytes | None = None) -> list[x509.Certificate]:
    """Returns the certificates of a PEM file, at least one, or raises UnusableCertificate."""
    try:
        return x509.load_pem_x509_certificates(_read(path) if content is None else content)
    except ValueError as error:
        raise _unusable(path, "holds no certificate in PEM form") from error


def server_credentials(files: TlsFiles, *, of_proven_clients: bool = True) -> grpc.ServerCredentials:
    """Returns credentials that follow the files when they change.

    Args:
        files: of the server.
        of_proven_clients: whether a certificate is demanded of every client; otherwise none is looked at.
    """
    material = read_material(files)
    _warn_of(files, material)
    return grpc.dynamic_ssl_server_credentials(
        _configuration(material),
        _fetcher(files),  # type: ignore[arg-type] # None is allowed: "nothing new"
        require_client_authentication=of_proven_clients,
    )


def channel_credentials(files: TlsFiles) -> grpc.ChannelCredentials:
    """Returns the credentials of a client, with the files as they are now."""
    material = read_material(files)
    return grpc.ssl_channel_credentials(
        root_certificates=material.ca, private_key=material.private_key, certificate_chain=material.certificate
    )


def common_name(certificate: x509.Certificate) -> str:
    """Returns the one common name of a certificate's subject, empty when there is none or several."""
    return sole_common_name(certificate.subject)


def sole_common_name(subject: x509.Name) -> str:
    """Returns the one common name of a subject, empty when there is none or several."""
    names = subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else ""


def _fetcher(files: TlsFiles) -> Callable[[], grpc.ServerCertificateConfiguration | None]:
    """Returns what gRPC asks at every connection: None as long as nothing changed, else the new files."""
    known = tls_fingerprint(files)

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal known
        found = tls_fingerprint(files)
        if found == known:
            return None
        # Also remembered when the files do not fit: one half may be replaced and the other on its way.
        known = found
        try:
            material = read_material(files)
        except UnusableCertificate as error:
            logger.error("the changed certificate is not used, the one before stays: %s", error.message)  # noqa: TRY400
            return None
        logger.info("certificate=%s serial=%x is read again", files.certificate, material.leaf.serial_number)
        return _configuration(material)

    return fetch


def _configuration(material: Material) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(material.private_key, material.certificate)], root_certificates=material.ca
    )


def tls_fingerprint(files: TlsFiles) -> Fingerprint:
    """Returns what changes when a certificate, its key or the authority's certificate is written or replaced."""
    return tuple(file_fingerprint(path) for path in (files.certificate, files.private_key, files.ca))


def file_fingerprint(path: Path) -> tuple[int, int, int]:
    """Returns what changes when a file is written or replaced; zeros for one that is not there."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_mtime_ns, found.st_size)


def _warn_of(files: TlsFiles, material: Material) -> None:
    left = material.leaf.not_valid_after_utc - datetime.now(UTC)
    if left < WARN_BEFORE:
        logger.warning("certificate=%s ends in %d days: have it renewed", files.certificate, left.days)
    if files.private_key.stat().st_mode & READABLE_BY_OTHERS:
        logger.warning("private_key=%s can be read by everybody on this host: chmod 0600", files.private_key)
    if files.revocation_list is None:
        logger.warning("no revocation_list: a revoked certificate is believed until it ends")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}") from error


def _is_in_chain(
    leaf: x509.Certificate, others: Sequence[x509.Certificate], authorities: Sequence[x509.Certificate]
) -> bool:
    """Returns whether an authority issued a certificate, or issued the one behind it in the file that did."""
    if any(_is_issuer(authority, leaf) for authority in authorities):
        return True
    return bool(others) and _is_issuer(others[0], leaf) and _is_in_chain(others[0], others[1:], authorities)


def _is_issuer(authority: x509.Certificate, leaf: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _public_bytes(key: object) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return encoded


def _unusable(path: Path, what: str) -> UnusableCertificate:
    return UnusableCertificate(f"{path} {what}", metadata={"path": str(path)})
