"""`ka pki`: the certificates of the site."""

from collections.abc import Callable
from typing import Any

import click

from kadeploy_cli.connection.session import finish
from kadeploy_cli.pki import actions as certificate_authority
from kadeploy_cli.pki.authority import Authority
from kadeploy_cli.pki.holders import KINDS
from kadeploy_cli.terminal.output import Format

DIRECTORY = "/etc/kadeploy/pki"
AUTHORITY_DAYS = 3650

KIND = click.argument("kind", type=click.Choice(KINDS))
NAME = click.argument("name", metavar="NAME")
HOSTS = click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="HOST",
    help="A name or address at which clients reach the service. Repeatable.",
)
DAYS = click.option(
    "--days", type=click.IntRange(1, 3650), help="How long it counts: 90 days for users, 365 for all others."
)
REQUEST = click.option(
    "--request",
    metavar="FILE",
    help="A certificate request (PKCS#10, PEM), as `openssl req -new` makes it: its key is used, none is made.",
)
VERBOSE = click.option("--verbose", is_flag=True, expose_value=False, help="Say more when something goes wrong.")


def authority_options(function: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options that name the authority, and its function the authority as first argument."""

    def with_authority(*, directory: str, passphrase_file: str | None, **options: Any) -> None:
        function(certificate_authority.open_authority(directory, passphrase_file), **options)

    with_authority.__doc__ = function.__doc__
    with_authority.__name__ = function.__name__
    decorated = click.option(
        "--passphrase-file", metavar="FILE", help="Its first line opens the authority's key, where it is encrypted."
    )(with_authority)
    decorated = click.option(
        "--directory",
        metavar="DIRECTORY",
        default=DIRECTORY,
        show_default=True,
        envvar="KADEPLOY_PKI",
        show_envvar=True,
        help="Where the authority lives.",
    )(decorated)
    result: Callable[..., None] = VERBOSE(decorated)
    return result


@click.group()
def pki() -> None:
    """The certificates of the site: who calls, and who answers.

    Run it on a host of its own, or at least as root: whoever reads the authority's key can speak for everybody.
    """


@pki.command()
@click.option("--name", default="Kadeploy", show_default=True, metavar="NAME", help="What the authority calls itself.")
@click.option(
    "--days", type=click.IntRange(1, 36500), default=AUTHORITY_DAYS, show_default=True, help="How long it counts."
)
@authority_options
def init(authority: Authority, /, *, name: str, days: int) -> None:
    """Makes the site's authority: ca.pem, ca.key and an empty revocation list. Never overwrites one."""
    finish(certificate_authority.init(authority, name=name, days=days))


@pki.command()
@KIND
@NAME
@HOSTS
@DAYS
@REQUEST
@authority_options
def issue(
    authority: Authority, /, *, kind: str, name: str, hosts: tuple[str, ...], days: int | None, request: str | None
) -> None:
    """Issues a certificate, with its key, to a user, a service, the agent of a login host, or the login authority.

    Whoever has one that counts gets none. `ka pki issue authority login` is what `ka login` needs.
    """
    finish(certificate_authority.issue(authority, kind, name, hosts=hosts, days=days, request=request))


@pki.command()
@KIND
@NAME
@HOSTS
@DAYS
@REQUEST
@authority_options
def renew(
    authority: Authority, /, *, kind: str, name: str, hosts: tuple[str, ...], days: int | None, request: str | None
) -> None:
    """Issues a new certificate, with a new key, in place of the present one, which counts until it ends."""
    finish(certificate_authority.renew(authority, kind, name, hosts=hosts, days=days, request=request))


@pki.command()
@KIND
@NAME
@authority_options
def revoke(authority: Authority, /, *, kind: str, name: str) -> None:
    """Ends every certificate of somebody, those of `ka login` included. Copy revoked.pem to the services."""
    finish(certificate_authority.revoke(authority, kind, name))


@pki.command("list")
@click.option(
    "-o", "--output", "form", type=click.Choice(["table", "json", "name"]), default="table", show_default=True,
    help="How the result is printed.",
)  # fmt: skip
@authority_options
def list_certificates(authority: Authority, /, *, form: str) -> None:
    """Lists what was issued: valid, expired or revoked."""
    finish(certificate_authority.show_list(authority, Format(form)))
