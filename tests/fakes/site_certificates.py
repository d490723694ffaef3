"""The certificates of a site for tests: an authority, its holders, and those whom nobody should believe."""

from datetime import datetime, timedelta
from pathlib import Path

from kadeploy_cli.pki.authority import Authority, Issued, system_time
from kadeploy_cli.pki.holders import Holder
from kadeploy_edge.tls import TlsFiles

HOSTS = ("127.0.0.1",)


class SiteCertificates:
    """An authority in a directory, made when there is none. `age`: how long ago everything is issued."""

    def __init__(self, directory: Path, *, age: timedelta = timedelta(0)) -> None:
        self.directory = directory
        self._age = age
        self.authority = Authority(directory, clock=self._then)
        if not self.authority.certificate_file.exists():
            self.authority.create("test", lifetime=timedelta(days=3650))
        self.revocation_list = self.authority.revocation_file

    def _then(self) -> datetime:
        return system_time() - self._age

    def issue(self, kind: str, name: str, *, hosts: tuple[str, ...] = HOSTS, days: float = 1) -> TlsFiles:
        """Issues a certificate and returns the holder's files; a service's name the revocation list."""
        holder = Holder.of(kind, name)
        self.authority.issue(holder, hosts=hosts if kind == "service" else (), lifetime=timedelta(days=days))
        return self.files(kind, name)

    def files(self, kind: str, name: str) -> TlsFiles:
        """Returns where a holder's files are."""
        place = self.authority.directory_of(Holder.of(kind, name))
        return TlsFiles(
            certificate=place / "certificate.pem",
            private_key=place / "private_key.pem",
            ca=place / "ca.pem",
            revocation_list=self.revocation_list if kind == "service" else None,
        )

    def renew(self, kind: str, name: str) -> Issued:
        """Renews a certificate and returns the new one."""
        return self.authority.renew(Holder.of(kind, name), hosts=(), lifetime=timedelta(days=2))[0]

    def revoke(self, kind: str, name: str) -> None:
        """Ends a holder's certificates."""
        self.authority.revoke(Holder.of(kind, name))
