"""Delegations: a user lets another caller make calls for them, for some hours and within bounds.

A delegation is a signed token (JWS, RFC 7515) that the user makes with the private key of their own certificate. It
names who may present it and until when, and whether calls that change something are among what it allows. The service
that is called checks the signature against the certificate in the token, and that certificate as it would check one on
a connection. So whoever presents a delegation has the rights of the user who made it, never their own, and without one
nothing of theirs. The contract says of each method whether it can be delegated (`kadeploy.access.v1.delegable`).
"""

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from kadeploy_edge.errors import Denied
from kadeploy_edge.revocation import RevocationList
from kadeploy_edge.tls import Fingerprint, TlsFiles, common_name, file_fingerprint, read_certificates, read_material

METADATA_KEY = "kadeploy-delegation"
LONGEST_BYTES = 6144
LONGEST = timedelta(hours=12)
# Of clocks that are not quite together.
LEEWAY = timedelta(seconds=60)
AUDIENCE, TYPE = "kadeploy", "kadeploy-delegation"
USER = "user:"
MOST_KNOWN = 512


class InvalidDelegation(Denied):
    """The delegation does not allow this caller to call for that user: forged, ended, revoked, or somebody else's."""

    reason = "INVALID_DELEGATION"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """What a token says.

    Attributes:
        user: "user:alice", who made it.
        presenter: "user:web", who may call with it.
        may_change: whether calls that change something are allowed.
        begin: when it was made.
        end: when it ends.
        certificate: of the user.
    """

    user: str
    presenter: str
    may_change: bool
    begin: datetime
    end: datetime
    certificate: x509.Certificate


def make_delegation(files: TlsFiles, *, presenter: str, lifetime: timedelta, may_change: bool) -> str:
    """Returns a token, signed by the holder of a certificate.

    Args:
        files: the user's certificate and key.
        presenter: who may call with it: "user:web".
        lifetime: until it ends; at most LONGEST.
        may_change: whether it allows calls that change something.

    Raises:
        UnusableCertificate: the files cannot be used.
        ValueError: the lifetime is too long, or the key is of a kind that signs no tokens.
    """
    if not timedelta(0) < lifetime <= LONGEST:
        raise ValueError(f"a delegation lasts at most {LONGEST}")
    material = read_material(files)
    now = datetime.now(UTC)
    claims = {
        "iss": common_name(material.leaf),
        "aud": AUDIENCE,
        "azp": presenter,
        "iat": int(now.timestamp()),
        "exp": int((now + lifetime).timestamp()),
        "change": may_change,
        "jti": secrets.token_hex(8),
    }
    key: Any = load_pem_private_key(material.private_key, password=None)
    encoded = base64.b64encode(material.leaf.public_bytes(Encoding.DER)).decode()
    return jwt.encode(claims, key, algorithm=_algorithm(material.leaf), headers={"typ": TYPE, "x5c": [encoded]})


def unchecked_claims(token: str) -> tuple[str, bool, float] | None:
    """Returns user, whether changes are allowed, and the end of a token that nobody has checked; None for no token.

    For whoever shows a token's holder what they hold. Nothing may be decided by it.
    """
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
        user, end = claims["iss"], float(claims["exp"])
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, OverflowError):
        return None
    if not isinstance(user, str):
        return None
    return user.removeprefix(USER), claims.get("change") is True, end


class DelegationReader:
    """Checks tokens against the site's authority. What was found once is remembered; its end is looked at each time."""

    def __init__(
        self,
        ca: Path,
        revocations: RevocationList | None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Reads nothing yet.

        Args:
            ca: the authorities that users' certificates come from.
            revocations: which certificates count no more.
            clock: the present time.
        """
        self._ca = ca
        self._revocations = revocations
        self._clock = clock
        self._known: dict[str, Delegation] = {}
        self._authorities: list[x509.Certificate] = []
        self._fingerprint: Fingerprint = ()

    def read(self, token: str, *, presenter: str) -> Delegation:
        """Returns what a token says, or raises InvalidDelegation.

        Args:
            token: as it came.
            presenter: who calls with it, as proved by their own certificate.
        """
        self._follow_authorities()
        found = self._known.get(token)
        if found is None:
            found = self._checked(token)
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[token] = found
        now, certificate = self._clock(), found.certificate
        if found.presenter != presenter:
            raise InvalidDelegation(f"the delegation is for {found.presenter}, not for {presenter}")
        if not found.begin - LEEWAY <= now < found.end:
            raise InvalidDelegation(
                f"the delegation of {found.user} ended on {found.end:%Y-%m-%d %H:%M} UTC: log in anew"
            )
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise InvalidDelegation(f"the certificate of {found.user} has ended: have it renewed")
        if self._revocations is not None and self._revocations.holds(certificate):
            raise InvalidDelegation(f"the certificate of {found.user} was revoked")
        return found

    def _follow_authorities(self) -> None:
        fingerprint = (file_fingerprint(self._ca),)
        if fingerprint != self._fingerprint:
            self._authorities = read_certificates(self._ca)
            self._known.clear()
            self._fingerprint = fingerprint

    def _checked(self, token: str) -> Delegation:
        """Returns what a token says whose signature, certificate and form are right."""
        if len(token) > LONGEST_BYTES:
            raise InvalidDelegation(f"the delegation is longer than {LONGEST_BYTES} bytes")
        try:
            header = jwt.get_unverified_header(token)
            if header.get("typ") != TYPE:
                raise InvalidDelegation("the token is no delegation")
            (encoded,) = header["x5c"]
            certificate = x509.load_der_x509_certificate(base64.b64decode(encoded, validate=True))
            if not any(_is_issuer(authority, certificate) for authority in self._authorities):
                raise InvalidDelegation("the certificate in the delegation is not of this site's authority")
            key: Any = certificate.public_key()
            claims = jwt.decode(
                token,
                key,
                algorithms=[_algorithm(certificate)],
                audience=AUDIENCE,
                # The dates are looked at on each use, by the clock of whoever reads.
                options={"require": ["iss", "aud", "azp", "iat", "exp"], "verify_exp": False, "verify_iat": False},
            )
            return _delegation(claims, certificate)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, OverflowError, OSError) as error:
            raise InvalidDelegation("the delegation is damaged or was not signed by its user") from error


def _delegation(claims: dict[str, Any], certificate: x509.Certificate) -> Delegation:
    name = common_name(certificate)
    if claims["iss"] != name or not name.startswith(USER) or len(name) == len(USER):
        raise InvalidDelegation("only users can delegate, in their own name")
    begin, end = (datetime.fromtimestamp(int(claims[key]), UTC) for key in ("iat", "exp"))
    if end - begin > LONGEST:
        raise InvalidDelegation(f"a delegation lasts at most {LONGEST}")
    presenter, may_change = claims["azp"], claims.get("change", False)
    if not isinstance(presenter, str) or not isinstance(may_change, bool):
        raise InvalidDelegation("the delegation is damaged")
    return Delegation(
        user=name, presenter=presenter, may_change=may_change, begin=begin, end=end, certificate=certificate
    )


def _algorithm(certificate: x509.Certificate) -> str:
    """Returns the one algorithm that a certificate's key signs tokens with. Raises ValueError for other keys."""
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, rsa.RSAPublicKey):
        return "RS256"
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "EdDSA"
    raise ValueError("a key of this kind signs no delegation")


_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


def _is_issuer(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
