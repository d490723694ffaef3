"""What the commands of `ka pki` do and say."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import click

from kadeploy_cli.pki.authority import Authority, Issued
from kadeploy_cli.pki.authority_files import day
from kadeploy_cli.pki.certificates import hosts_of
from kadeploy_cli.pki.holders import Holder, read_hosts
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import UsageFailure
from kadeploy_cli.terminal.output import Format
from kadeploy_edge.certificate_request import InvalidCertificateRequest, PublicKey, read_request

Result = TypeVar("Result")

LIFETIMES = {"user": 90, "service": 365, "agent": 365, "authority": 365}
"""In days, where no --days is given."""

LONGEST_PASSPHRASE = 1023
LONGEST_NAME = 64


def open_authority(directory: str, passphrase_file: str | None) -> Authority:
    """Returns the authority of a directory; the passphrase is read when the key is needed."""
    return Authority(Path(directory), passphrase=lambda: _passphrase(passphrase_file))


def init(authority: Authority, *, name: str, days: int) -> ExitCode:
    """Makes an authority."""
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise UsageFailure(f"--name: an authority's name has 1 to {LONGEST_NAME} printable characters, not {name!r}")
    certificate = _carefully(lambda: authority.create(name, lifetime=timedelta(days=days)))
    click.echo(
        f"{authority.certificate_file}: the authority of this site, until {day(certificate.not_valid_after_utc)}"
    )
    output.say("Keep ca.key on this host and in a safe backup: whoever has it can speak for everybody.")
    return ExitCode.OK


def issue(
    authority: Authority, kind: str, name: str, *, hosts: Sequence[str], days: int | None, request: str | None
) -> ExitCode:
    """Issues a certificate. `request`: a file with a certificate request, whose key is used."""
    holder, names, lifetime = _holder(kind, name, hosts, days)
    before = authority.certificate_file
    known = before.read_bytes() if before.is_file() else b""
    key = _key_of(request, holder)
    made = _carefully(lambda: authority.issue(holder, hosts=names, lifetime=lifetime, key=key))
    _print_issued(authority, made)
    if before.read_bytes() != known:
        output.say(f"{before} is new, with the same key: copy it to every host first. Certificates before stay good.")
    return ExitCode.OK


def renew(
    authority: Authority, kind: str, name: str, *, hosts: Sequence[str], days: int | None, request: str | None
) -> ExitCode:
    """Issues a certificate in place of another. `request`: as `issue`."""
    holder, names, lifetime = _holder(kind, name, hosts, days)
    key = _key_of(request, holder)
    made, before = _carefully(lambda: authority.renew(holder, hosts=names, lifetime=lifetime, key=key))
    _print_issued(authority, made)
    if before.state == "valid":
        output.say(
            f"The one before (serial {before.serial}) counts until {day(before.certificate.not_valid_after_utc)}."
        )
    return ExitCode.OK


def revoke(authority: Authority, kind: str, name: str) -> ExitCode:
    """Ends a holder's certificates."""
    holder = Holder.of(kind, name)
    for ended in _carefully(lambda: authority.revoke(holder)):
        click.echo(f"{holder}: serial {ended.serial} is revoked")
    if holder.kind == "user" and authority.has_logins:
        click.echo(f"{holder}: what `ka login` gave them until now is revoked")
    output.say(f"Copy {authority.revocation_file} to every service: each reads it again at once.")
    return ExitCode.OK


def show_list(authority: Authority, form: Format) -> ExitCode:
    """Prints what was issued."""
    found = _carefully(authority.issued)
    output.show(
        form,
        columns=("HOLDER", "STATE", "UNTIL", "HOSTS", "SERIAL"),
        rows=[
            (
                str(each.holder),
                each.state,
                day(each.certificate.not_valid_after_utc),
                ",".join(hosts_of(each.certificate)) or "-",
                each.serial,
            )
            for each in found
        ],
        data=[_plain(each) for each in found],
        names=[each.serial for each in found],
    )
    return ExitCode.OK


def _holder(kind: str, name: str, hosts: Sequence[str], days: int | None) -> tuple[Holder, tuple[str, ...], timedelta]:
    holder = Holder.of(kind, name)
    if hosts and kind != "service":
        raise UsageFailure(f"--host is for services: the certificate of {holder} counts from everywhere")
    return holder, read_hosts(hosts), timedelta(days=days or LIFETIMES[kind])


def _key_of(path: str | None, holder: Holder) -> PublicKey | None:
    """Returns the key of the request in a file, None where there is no file."""
    if path is None:
        return None
    try:
        key, named = read_request(_carefully(Path(path).read_bytes))
    except InvalidCertificateRequest as error:
        raise UsageFailure(f"{path}: {error.message}") from None
    if named not in {"", holder.common_name, holder.name}:
        raise UsageFailure(f"{path} asks for a certificate of {named!r}, not of {holder}")
    return key


def _print_issued(authority: Authority, made: Issued) -> None:
    place = authority.directory_of(made.holder)
    click.echo(f"{place}: {made.holder}, until {day(made.certificate.not_valid_after_utc)}, serial {made.serial}")


def _plain(each: Issued) -> dict[str, object]:
    return {
        "kind": each.holder.kind,
        "name": each.holder.name,
        "state": each.state,
        "begin": each.certificate.not_valid_before_utc.isoformat(),
        "end": each.certificate.not_valid_after_utc.isoformat(),
        "hosts": list(hosts_of(each.certificate)),
        "serial": each.serial,
    }


def _passphrase(path: str | None) -> bytes | None:
    if path is None:
        return None
    try:
        with Path(path).open("rb") as file:
            first = file.readline(LONGEST_PASSPHRASE + 3).rstrip(b"\r\n")
    except OSError as error:
        raise UsageFailure(f"the passphrase file {path} cannot be read: {error.strerror}") from None
    if not first or len(first) > LONGEST_PASSPHRASE:
        raise UsageFailure(f"the first line of {path} is no passphrase: 1 to {LONGEST_PASSPHRASE} bytes")
    return first


def _carefully(work: Callable[[], Result]) -> Result:
    """Returns what the work gives; a file or directory that cannot be used is one sentence."""
    try:
        return work()
    except OSError as error:
        where = f"{error.filename} cannot be used: " if error.filename else ""
        raise UsageFailure(f"{where}{error.strerror or error}") from None
