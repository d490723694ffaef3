"""`ka status`."""

from datetime import UTC, datetime

import click

from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.overview.services import ServiceState, look_at_services, own_certificate_end
from kadeploy_cli.overview.under_way import Holder, moment, under_way
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode

SERVICE_COLUMNS = ("SERVICE", "STATE", "VERSION", "CERTIFICATE UNTIL", "ADDRESS")
WORK_COLUMNS = ("ID", "KIND", "STATE", "USER", "WHAT", "NODES", "SINCE", "WAITS FOR")
WORK_LEAST = ("WHAT", "KIND", "SINCE")


@click.command()
@command_options()
def status(session: Session) -> None:
    """Shows how the services are, what is under way, and who waits for whom.

    Exit status 3 if a service does not serve.
    """
    services = look_at_services(session)
    deployer = next(each for each in services if each.service == "deployer")
    work = under_way(session.deployer) if deployer.serves else []
    end = own_certificate_end(session.settings)
    if session.form is output.Format.NAME:
        output.show(session.form, columns=(), rows=(), data=None, names=[holder.id for holder in work])
    elif session.form.for_programs:
        data = {
            "services": [_plain(each) for each in services],
            "certificate_end": _iso(end),
            "under_way": [holder.plain() for holder in work],
        }
        output.show(session.form, columns=(), rows=(), data=data, names=())
    else:
        _show(services, work, end)
    finish(ExitCode.OK if all(each.serves for each in services) else ExitCode.UNREACHABLE)


def _show(services: list[ServiceState], work: list[Holder], end: datetime | None) -> None:
    rows = [
        (each.service, each.state, each.version, moment(each.certificate_end) or "-", each.address or "-")
        for each in services
    ]
    output.show_table(SERVICE_COLUMNS, rows)
    if end is not None:
        output.show_text(f"\nyour certificate counts until {moment(end)}", "")
    output.show_text("" if work else "\nnothing is under way", "")
    if work:
        users = {holder.id: holder.user for holder in work}
        output.show_table(WORK_COLUMNS, [holder.row(users) for holder in work], least=WORK_LEAST)


def _plain(each: ServiceState) -> dict[str, str | bool | None]:
    return {
        "service": each.service,
        "address": each.address,
        "serves": each.serves,
        "state": each.state,
        "version": each.version,
        "certificate_end": _iso(each.certificate_end),
    }


def _iso(time: datetime | None) -> str | None:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if time else None
