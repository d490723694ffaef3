"""What the commands of `ka pki` do and say."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import click

from kadeploy_cli.pki.authority import Authority, Issued, day
from kadeploy_cli.pki.certificates import hosts_of
from kadeploy_cli.pki.holders import Holder, read_hosts
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import UsageFailure
from kadeploy_cli.terminal.output import Format

Result = TypeVar("Result")

LIFETIMES = {"user": 90, "service": 365}
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


def issue(authority: Authority, kind: str, name: str, *, hosts: Sequence[str], days: int | None) -> ExitCode:
    """Issues a certificate."""
    holder, names, lifetime = _wish(kind, name, hosts, days)
    made = _carefully(lambda: authority.issue(holder, hosts=names, lifetime=lifetime))
    _tell(authority, made)
    return ExitCode.OK


def renew(authority: Authority, kind: str, name: str, *, hosts: Sequence[str], days: int | None) -> ExitCode:
    """Issues a certificate in place of another."""
    holder, names, lifetime = _wish(kind, name, hosts, days)
    made, before = _carefully(lambda: authority.renew(holder, hosts=names, lifetime=lifetime))
    _tell(authority, made)
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


def _wish(kind: str, name: str, hosts: Sequence[str], days: int | None) -> tuple[Holder, tuple[str, ...], timedelta]:
    holder = Holder.of(kind, name)
    if hosts and kind == "user":
        raise UsageFailure("--host is for services: a user's certificate counts from everywhere")
    return holder, read_hosts(hosts), timedelta(days=days or LIFETIMES[kind])


def _tell(authority: Authority, made: Issued) -> None:
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
