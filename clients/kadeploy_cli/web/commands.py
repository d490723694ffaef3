"""`ka web login`: lets the page of the site act on the user's behalf for some hours, and no further."""

from datetime import timedelta

import click

from kadeploy_cli.connection.session import Session, command_options
from kadeploy_cli.terminal.failures import UsageFailure
from kadeploy_edge.delegation import LONGEST, make_delegation
from kadeploy_edge.tls import UnusableCertificate

MOST_HOURS = LONGEST.total_seconds() / 3600


@click.group()
def web() -> None:
    """The page of the site."""


@web.command()
@click.argument("address", default="", metavar="[ADDRESS]")
@click.option(
    "--hours", type=click.FloatRange(0.1, MOST_HOURS), default=8.0, show_default=True, help="Until the login ends."
)
@click.option("--read-only", is_flag=True, help="The page shows what is yours, and can change nothing.")
@click.option("--to", "name", default="web", show_default=True, metavar="USER", help="Whose certificate the page has.")
@command_options(form=None)
def login(session: Session, /, *, address: str, hours: float, read_only: bool, name: str) -> None:
    """Prints what logs you in on the page, at ADDRESS if one is given: open what is printed.

    It is signed with your own key. With it the page can plan, start and cancel deployments with your rights and in
    your name; it can neither reboot nodes, run commands, nor grant anything. Whoever has it has that much, so give it
    to nobody.
    """
    settings = session.settings
    if settings.tls is None:
        raise UsageFailure(f"{settings.path} has no [tls]: a login is signed with the key of your certificate")
    if address and not address.startswith(("https://", "http://")):
        raise UsageFailure(f"the address must begin with https:// or http://, not {address!r}")
    try:
        token = make_delegation(
            settings.tls, presenter=f"user:{name}", lifetime=timedelta(hours=hours), may_change=not read_only
        )
    except UnusableCertificate as error:
        raise UsageFailure(f"{settings.path}: [tls]: {error.message}") from None
    except ValueError as error:
        raise UsageFailure(str(error)) from None
    # Behind the # it stays in the browser: it reaches no log and no other site.
    click.echo(f"{address.rstrip('/')}/#login={token}" if address else token)
