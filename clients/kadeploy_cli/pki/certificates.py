"""X.509 of the site: the authority's certificate, those of its holders, and the revocation list. No files here.

EC P-256 keys. A user's certificate is for clients alone; a service's is for both sides, since the deployer calls the
others and all call the database, and names the hosts at which clients will look for it; the database server's is for
servers alone. The login authority's is for issuing certificates to users alone (`kadeploy_edge.login_certificate`).
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kadeploy_cli.pki.holders import Holder
from kadeploy_edge.certificate_request import PublicKey
from kadeploy_edge.login_certificate import BACKDATED, name_constraints
from kadeploy_edge.revocation import make_login_revocations
from kadeploy_edge.tls import common_name

Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """The authority's certificate and its key."""

    certificate: x509.Certificate
    key: Key


def new_key() -> Key:
    """Returns a new private key."""
    return ec.generate_private_key(ec.SECP256R1())


def make_authority(name: str, *, now: datetime, lifetime: timedelta) -> Signer:
    """Returns a new authority."""
    key = new_key()
    return Signer(certificate=_authority_certificate(key, name, now=now, lifetime=lifetime), key=key)


def make_authority_with_room(signer: Signer, *, now: datetime) -> Signer:
    """Returns the same authority, with the same key, with room for a login authority below it."""
    ended = signer.certificate.not_valid_after_utc - now
    name = common_name(signer.certificate)
    return Signer(certificate=_authority_certificate(signer.key, name, now=now, lifetime=ended), key=signer.key)


def has_room(authority: x509.Certificate) -> bool:
    """Returns whether another authority may stand below one: releases before `ka login` made them without room."""
    length = authority.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
    return length is None or length > 0


def _authority_certificate(key: Key, name: str, *, now: datetime, lifetime: timedelta) -> x509.Certificate:
    return (
        _begun(name, key.public_key(), now=now, lifetime=lifetime)
        .issuer_name(_subject(name))
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def make_certificate(
    signer: Signer, holder: Holder, key: PublicKey, *, hosts: Sequence[str], now: datetime, lifetime: timedelta
) -> x509.Certificate:
    """Returns a new certificate of a holder, which never outlives the authority's."""
    uses = [ExtendedKeyUsageOID.CLIENT_AUTH] if holder.calls or holder.is_authority else []
    end = min(now + lifetime, signer.certificate.not_valid_after_utc)
    authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
    builder = (
        _begun(holder.common_name, key, now=now, lifetime=end - now)
        .issuer_name(signer.certificate.subject)
        .add_extension(_constraints(holder), critical=True)
        .add_extension(_key_usage(authority=holder.is_authority), critical=True)
        .add_extension(authority_key, critical=False)
    )
    if holder.is_authority:
        builder = builder.add_extension(name_constraints(), critical=True)
    if holder.is_called:
        uses.append(ExtendedKeyUsageOID.SERVER_AUTH)
        builder = builder.add_extension(x509.SubjectAlternativeName(map(_host, hosts)), critical=False)
    return builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False).sign(signer.key, hashes.SHA256())


def _constraints(holder: Holder) -> x509.BasicConstraints:
    return x509.BasicConstraints(ca=holder.is_authority, path_length=0 if holder.is_authority else None)


def make_revocation_list(
    signer: Signer, revoked: Iterable[x509.RevokedCertificate], logins: Mapping[str, datetime], *, now: datetime
) -> x509.CertificateRevocationList:
    """Returns a list of certificates that count no more. It is good until the next one is made.

    `logins`: until when the login certificates of users do not count, by common name.
    """
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(signer.certificate.subject)
        .last_update(now)
        .next_update(signer.certificate.not_valid_after_utc)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False)
    )
    if logins:
        builder = builder.add_extension(make_login_revocations(logins), critical=False)
    for each in revoked:
        builder = builder.add_revoked_certificate(each)
    return builder.sign(signer.key, hashes.SHA256())


def make_revoked(certificate: x509.Certificate, *, now: datetime) -> x509.RevokedCertificate:
    """Returns the entry of a certificate that counts no more from now on."""
    builder = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(now)
    return builder.build()


def holder_of(certificate: x509.Certificate) -> Holder | None:
    """Returns for whom a certificate is."""
    return Holder.named(common_name(certificate))


def hosts_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Returns the hosts that a service's certificate names."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name.value) for name in names)


def _begun(name: str, public_key: PublicKey, *, now: datetime, lifetime: timedelta) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(word: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(word))
    except ValueError:
        return x509.DNSName(word)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
