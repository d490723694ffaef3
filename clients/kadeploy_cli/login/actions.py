"""What `ka login` does: makes the key, asks for the certificate, keeps both."""

import click

from kadeploy_cli.connection.session import Session
from kadeploy_cli.connection.settings import SettingsFailure
from kadeploy_cli.login.key_files import key_for_login, make_request, refuse_long_certificate, write_login
from kadeploy_cli.login.ways import Answer, log_in_by_agent, log_in_by_munge
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import Failure
from kadeploy_edge.tls import UnusableCertificate, read_material


def log_in(session: Session, *, replace: bool, munge_socket: str) -> ExitCode:
    """Gets a certificate for whoever runs the command.

    Args:
        session: of the command.
        replace: also in place of a certificate that `ka login` did not make.
        munge_socket: of the MUNGE daemon; empty for the usual one.
    """
    settings = session.settings
    if settings.login is None:
        raise SettingsFailure(
            f"{settings.path} has no [login]: it does not say where certificates come from",
            advice='An administrator adds [login] address = "host:port" (MUNGE) or socket = "/path" (an agent).',
        )
    if settings.tls is None:
        raise SettingsFailure(
            f"{settings.path} has no [tls]: it does not say where the certificate belongs",
            advice="Add [tls] with certificate, private_key and ca; docs/identity.md shows it.",
        )
    files, seconds = settings.tls, settings.deadlines.call
    if not replace:
        refuse_long_certificate(files)
    key = key_for_login(files)
    request = make_request(key, settings.user)
    if settings.login.socket is not None:
        answer = log_in_by_agent(request, path=settings.login.socket, seconds=seconds)
    else:
        answer = log_in_by_munge(
            request,
            settings.user,
            address=settings.login.address,
            ca=files.ca,
            insecure=settings.insecure,
            seconds=seconds,
            munge_socket=munge_socket,
        )
    write_login(files, key, answer.chain)
    try:
        read_material(files)
    except UnusableCertificate as error:
        raise Failure(f"the certificate that came cannot be used: {error.message}", exit_code=ExitCode.FAILED) from None
    _print(answer)
    return ExitCode.OK


def _print(answer: Answer) -> None:
    click.echo(f"{answer.user}: logged in until {answer.end_time.astimezone():%Y-%m-%d %H:%M}")
