"""The directory of the site's authority, and all that is done with it.

    ca.pem                     the authority's certificate, for everybody
    ca.key                     its private key, 0600, encrypted where a passphrase was given; never leaves this host
    revoked.pem                the revocation list, for every service
    issued/SERIAL.pem          every certificate that was ever issued
    users/NAME/                certificate.pem, private_key.pem (0600), ca.pem: what the user gets
    services/NAME/             the same and revoked.pem: what the service's host gets
    agents/HOST/               certificate.pem, private_key.pem, ca.pem: what the agent of a login host gets
    authorities/login/         the same: with it the inventory issues certificates to users for hours

Where a certificate was issued on a request, the key is its maker's, and there is no private_key.pem.

Only this module writes there; every file is replaced whole, and one command at a time holds the directory.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
)

from kadeploy_cli.pki import certificates
from kadeploy_cli.pki.authority_files import (
    DIRECTORY,
    PRIVATE,
    PUBLIC,
    certificate_pem,
    damaged,
    day,
    key_pem,
    read_certificate,
    read_key,
    write,
)
from kadeploy_cli.pki.certificates import Key, Signer
from kadeploy_cli.pki.holders import LOGIN, Holder
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import Failure, UsageFailure
from kadeploy_edge.certificate_request import PublicKey
from kadeploy_edge.login_certificate import LONGEST_LIFE
from kadeploy_edge.revocation import login_revocations

LOGIN_LIFE = LONGEST_LIFE + timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """One certificate that was issued. `state`: "valid", "expired" or "revoked"."""

    holder: Holder
    certificate: x509.Certificate
    state: str

    @property
    def serial(self) -> str:
        """The serial number as it is written everywhere."""
        return f"{self.certificate.serial_number:x}"


def system_time() -> datetime:
    """Returns the time, to the second as certificates have it."""
    return datetime.now(UTC).replace(microsecond=0)


class Authority:
    """The authority of one site, in its directory."""

    def __init__(
        self,
        directory: Path,
        *,
        passphrase: Callable[[], bytes | None] = lambda: None,
        clock: Callable[[], datetime] = system_time,
    ) -> None:
        """Names the directory; nothing is read yet.

        Args:
            directory: where the authority lives.
            passphrase: gives what the authority's key is encrypted with, None for nothing.
            clock: tells the time.
        """
        self._directory = directory
        self._passphrase = passphrase
        self._clock = clock

    @property
    def certificate_file(self) -> Path:
        """The authority's certificate."""
        return self._directory / "ca.pem"

    @property
    def revocation_file(self) -> Path:
        """The revocation list."""
        return self._directory / "revoked.pem"

    def directory_of(self, holder: Holder) -> Path:
        """Returns where a holder's files lie."""
        return self._directory / holder.directory

    def create(self, name: str, *, lifetime: timedelta) -> x509.Certificate:
        """Makes a new authority; one that is there is never touched."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._directory.chmod(DIRECTORY)
        with self._held():
            for path in (self.certificate_file, self._key_file):
                if path.exists():
                    raise Failure(
                        f"{path} is there already: this directory has an authority",
                        exit_code=ExitCode.REFUSED,
                        advice="Use another --directory; an authority is never overwritten.",
                    )
            signer = certificates.make_authority(name, now=self._clock(), lifetime=lifetime)
            secret = self._passphrase()
            encryption = BestAvailableEncryption(secret) if secret else NoEncryption()
            write(self._key_file, key_pem(signer.key, encryption), PRIVATE)
            self._write_revocations(signer, [], {})
            (self._directory / "issued").mkdir(mode=DIRECTORY, exist_ok=True)
            # Last: where ca.pem is, an authority is whole.
            write(self.certificate_file, certificate_pem(signer.certificate), PUBLIC)
            return signer.certificate

    def issue(
        self, holder: Holder, *, hosts: Sequence[str], lifetime: timedelta, key: PublicKey | None = None
    ) -> Issued:
        """Issues a certificate to a holder who has none that counts; `key`: theirs, where they made one."""
        with self._held():
            for each in self._issued(holder):
                if each.state == "valid":
                    raise Failure(
                        f"{holder} has a certificate until {day(each.certificate.not_valid_after_utc)}"
                        f" (serial {each.serial})",
                        exit_code=ExitCode.REFUSED,
                        advice=f"`ka pki renew {holder}` makes a new one; `ka pki revoke {holder}` ends this one.",
                    )
            return self._new(holder, hosts=hosts, lifetime=lifetime, theirs=key)

    def renew(
        self, holder: Holder, *, hosts: Sequence[str], lifetime: timedelta, key: PublicKey | None = None
    ) -> tuple[Issued, Issued]:
        """Issues a new certificate with a new key in place of the latest one, which counts until it ends.

        Returns the new one and the one before. Without hosts the new one has those of the one before.
        """
        with self._held():
            known = [each for each in self._issued(holder) if each.state != "revoked"]
            if not known:
                raise Failure(
                    f"{holder} has no certificate that could be renewed",
                    exit_code=ExitCode.NOT_FOUND,
                    advice=f"`ka pki issue {holder}` makes one.",
                )
            before = max(known, key=lambda each: each.certificate.not_valid_before_utc)
            names = hosts or certificates.hosts_of(before.certificate)
            return self._new(holder, hosts=names, lifetime=lifetime, theirs=key), before

    def revoke(self, holder: Holder) -> list[Issued]:
        """Ends every certificate of a holder that still counts, and returns those that this authority issued.

        Where users can log in, what the login authority has issued to one until now is ended, too.
        """
        with self._held():
            ended = [each for each in self._issued(holder) if each.state == "valid"]
            has_logins = holder.kind == "user" and self.has_logins
            if not ended and not has_logins:
                raise Failure(f"{holder} has no certificate that counts", exit_code=ExitCode.NOT_FOUND)
            now, listed = self._clock(), self._revocations()
            entries = [*listed, *(certificates.make_revoked(each.certificate, now=now) for each in ended)]
            # Those that have ended need no entry any more.
            logins = {name: until for name, until in login_revocations(listed).items() if now - until < LOGIN_LIFE}
            self._write_revocations(self._signer(), entries, logins | ({holder.common_name: now} if has_logins else {}))
            return ended

    @property
    def has_logins(self) -> bool:
        """Whether a login authority can have issued certificates that still count."""
        return bool(self._issued(Holder.of("authority", LOGIN)))

    def issued(self) -> list[Issued]:
        """Returns every certificate that was issued, by holder and then by time."""
        self._check_there()
        found = self._issued(None)
        return sorted(found, key=lambda each: (str(each.holder), each.certificate.not_valid_before_utc))

    @property
    def _key_file(self) -> Path:
        return self._directory / "ca.key"

    @contextmanager
    def _held(self) -> Iterator[None]:
        if not self._directory.is_dir():
            self._check_there()
        number = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Failure(
                    f"another command works in {self._directory}",
                    exit_code=ExitCode.REFUSED,
                    advice="Try again in a moment.",
                ) from None
            yield
        finally:
            os.close(number)

    def _check_there(self) -> None:
        if not self.certificate_file.is_file():
            raise Failure(
                f"there is no authority in {self._directory}",
                exit_code=ExitCode.NOT_FOUND,
                advice="`ka pki init` makes one; --directory names another place.",
            )

    def _signer(self) -> Signer:
        self._check_there()
        certificate = read_certificate(self.certificate_file)
        key = read_key(self._key_file, self._passphrase())
        if not isinstance(key, Key) or key.public_key() != certificate.public_key():
            raise UsageFailure(f"{self._key_file} is not the key of {self.certificate_file}")
        if self._clock() > certificate.not_valid_after_utc:
            raise Failure(
                f"the authority in {self._directory} ended on {day(certificate.not_valid_after_utc)}",
                exit_code=ExitCode.REFUSED,
                advice="Make a new one in another --directory and issue everything anew.",
            )
        return Signer(certificate=certificate, key=key)

    def _signer_with_room(self) -> Signer:
        """Returns the signer; one of an earlier release gets a certificate that lets a login authority stand below."""
        signer = self._signer()
        if certificates.has_room(signer.certificate):
            return signer
        signer = certificates.make_authority_with_room(signer, now=self._clock())
        for path in (self.certificate_file, *self._directory.glob("*/*/ca.pem")):
            write(path, certificate_pem(signer.certificate), PUBLIC)
        return signer

    def _new(self, holder: Holder, *, hosts: Sequence[str], lifetime: timedelta, theirs: PublicKey | None) -> Issued:
        if holder.kind == "service" and not hosts:
            raise UsageFailure(f"{holder} needs --host: the names or addresses at which clients reach it")
        signer = self._signer_with_room() if holder.is_authority else self._signer()
        ours = certificates.new_key()
        key = ours.public_key() if theirs is None else theirs
        made = certificates.make_certificate(signer, holder, key, hosts=hosts, now=self._clock(), lifetime=lifetime)
        # The record first: what was issued can always be revoked.
        records = self._directory / "issued"
        write(records / f"{made.serial_number:x}.pem", certificate_pem(made), PUBLIC)
        place = self.directory_of(holder)
        place.mkdir(mode=DIRECTORY, parents=True, exist_ok=True)
        if theirs is not None:
            # It would not be the key of the certificate beside it.
            (place / "private_key.pem").unlink(missing_ok=True)
        else:
            write(place / "private_key.pem", key_pem(ours, NoEncryption()), PRIVATE)
        write(place / "certificate.pem", certificate_pem(made), PUBLIC)
        write(place / "ca.pem", certificate_pem(signer.certificate), PUBLIC)
        if holder.kind == "service":
            write(place / "revoked.pem", self.revocation_file.read_bytes(), PUBLIC)
        return Issued(holder=holder, certificate=made, state="valid")

    def _issued(self, holder: Holder | None) -> list[Issued]:
        """Returns the certificates of a holder, or of all."""
        self._check_there()
        revoked = {entry.serial_number for entry in self._revocations()}
        now = self._clock()
        found = []
        records = self._directory / "issued"
        if not records.is_dir():
            # Without the records nothing could be renewed or revoked, and nobody would notice.
            raise damaged(records, "directory with the certificates that were issued")
        for path in records.glob("*.pem"):
            certificate = read_certificate(path)
            state = "expired" if now > certificate.not_valid_after_utc else "valid"
            state = "revoked" if certificate.serial_number in revoked else state
            named = certificates.holder_of(certificate)
            if named is not None and holder in (None, named):
                found.append(Issued(holder=named, certificate=certificate, state=state))
        return found

    def _revocations(self) -> x509.CertificateRevocationList:
        try:
            return x509.load_pem_x509_crl(self.revocation_file.read_bytes())
        except ValueError:
            raise damaged(self.revocation_file, "revocation list") from None

    def _write_revocations(
        self, signer: Signer, revoked: list[x509.RevokedCertificate], logins: Mapping[str, datetime]
    ) -> None:
        made = certificates.make_revocation_list(signer, revoked, logins, now=self._clock()).public_bytes(Encoding.PEM)
        write(self.revocation_file, made, PUBLIC)
        for place in (self._directory / "services").glob("*"):
            write(place / "revoked.pem", made, PUBLIC)
