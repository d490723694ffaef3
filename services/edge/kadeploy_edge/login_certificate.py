"""Certificates of a few hours, which a login authority issues to users: what they look like, and what makes one count.

The site's authority signs the login authority's certificate. X.509 itself keeps that one to clients (extended key
usage) below one subject (name constraints), and TLS checks both. `check_login` checks them again, and what X.509 cannot
say: how long such a certificate may live, and that it names a user.
"""

from collections.abc import Sequence
from datetime import timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kadeploy_edge.errors import Denied

AUTHORITY_NAME = "authority:login"
USERS_UNIT = "kadeploy login"
BACKDATED = timedelta(minutes=10)
"""Clocks of a site differ a little."""
SHORTEST_HOURS, LONGEST_HOURS = 8, 24
LONGEST_LIFE = timedelta(hours=LONGEST_HOURS) + BACKDATED
USER_PREFIX = "user:"

USERS = x509.Name([x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, USERS_UNIT)])
"""Below it stand the subjects of all login certificates."""


class CertificateNotBelieved(Denied):
    """The caller's certificate comes from somebody who may not issue it."""

    reason = "CERTIFICATE_NOT_BELIEVED"


def user_subject(user: str) -> x509.Name:
    """Returns the subject of a user's login certificate."""
    return x509.Name([*USERS, x509.NameAttribute(NameOID.COMMON_NAME, f"{USER_PREFIX}{user}")])


def alternative_name(user: str) -> x509.SubjectAlternativeName:
    """Returns the subject once more: where names are constrained, TLS wants them in this place."""
    return x509.SubjectAlternativeName([x509.DirectoryName(user_subject(user))])


def name_constraints() -> x509.NameConstraints:
    """Returns what keeps a login authority to users. Names of hosts are for services, so none is permitted."""
    return x509.NameConstraints(
        permitted_subtrees=[x509.DirectoryName(USERS)],
        excluded_subtrees=[x509.DNSName("")],
    )


def is_issued_by(certificate: x509.Certificate, authorities: Sequence[x509.Certificate]) -> bool:
    """Returns whether one of some authorities signed a certificate."""
    return any(_is_issuer(authority, certificate) for authority in authorities)


def check_login(
    leaf: x509.Certificate, chain: Sequence[x509.Certificate], authorities: Sequence[x509.Certificate]
) -> x509.Certificate:
    """Returns the login authority that issued a certificate which none of the site's authorities issued.

    Args:
        leaf: the caller's certificate.
        chain: what they sent besides, in any order.
        authorities: the site's.

    Raises:
        CertificateNotBelieved: it is none of a user, lives too long, or its issuer may not issue it.
    """
    serial = f"{leaf.serial_number:x}"
    issuer = next((each for each in chain if _is_issuer(each, leaf)), None)
    if issuer is None or not is_issued_by(issuer, authorities):
        raise _not_believed(serial, "was issued by none of the site's authorities")
    if not _is_login_authority(issuer):
        raise _not_believed(serial, "was issued by somebody who may not issue certificates to users")
    names = [str(each.value) for each in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if len(names) != 1 or leaf.subject != user_subject(names[0].removeprefix(USER_PREFIX)):
        raise _not_believed(serial, "names no user: the login authority issues certificates to users alone")
    if _uses(leaf) != {ExtendedKeyUsageOID.CLIENT_AUTH}:
        raise _not_believed(serial, "is not for clients alone")
    if leaf.not_valid_after_utc - leaf.not_valid_before_utc > LONGEST_LIFE:
        raise _not_believed(serial, f"lives longer than {LONGEST_HOURS} hours")
    return issuer


def _is_login_authority(certificate: x509.Certificate) -> bool:
    extensions = certificate.extensions
    try:
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
        names = extensions.get_extension_for_class(x509.NameConstraints)
    except x509.ExtensionNotFound:
        return False
    return (
        (constraints.ca, constraints.path_length) == (True, 0)
        and names.critical
        and names.value == name_constraints()
        and _uses(certificate) == {ExtendedKeyUsageOID.CLIENT_AUTH}
    )


def _uses(certificate: x509.Certificate) -> set[x509.ObjectIdentifier]:
    try:
        return set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return set()


def _is_issuer(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _not_believed(serial: str, what: str) -> CertificateNotBelieved:
    return CertificateNotBelieved(f"the certificate {serial} {what}", metadata={"serial": serial})
