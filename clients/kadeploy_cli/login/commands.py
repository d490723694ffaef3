"""`ka login`."""

import click

from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.login import actions


@click.command()
@click.option("--replace", is_flag=True, help="Also in place of a certificate that `ka login` did not make.")
@click.option("--munge-socket", default="", metavar="PATH", help="The socket of MUNGE, where it is not the usual one.")
@command_options(form=None)
def login(session: Session, *, replace: bool, munge_socket: str) -> None:
    """Gets a certificate of some hours for you, as MUNGE or the kernel of this host knows you.

    Makes a key, which stays on this host, and has it signed by the inventory. client.toml says in [login] who is asked,
    and in [tls] where key and certificate are kept. Run it again whenever you like.
    """
    finish(actions.log_in(session, replace=replace, munge_socket=munge_socket))
