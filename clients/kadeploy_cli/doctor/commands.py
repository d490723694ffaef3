"""`ka doctor`."""

from collections.abc import Iterator
from functools import partial

import click

from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.doctor import boot_checks, node_checks, service_checks
from kadeploy_cli.doctor.boot_checks import BootHosts
from kadeploy_cli.doctor.dhcp_probe import DhcpServer
from kadeploy_cli.doctor.finding import Finding, State, findings_of
from kadeploy_cli.doctor.tftp import PORT, TftpServer
from kadeploy_cli.overview.services import look_at_services
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import Failure

LOOPBACK = "127.0.0.1"
COLUMNS = ("STATE", "WHAT", "HOW IT IS", "WHAT TO DO")
STYLES = {State.GOOD: "green", State.WARNING: "yellow", State.BAD: "red"}


@click.command()
@click.option(
    "--boot-server", default="", metavar="ADDRESS", help="The TFTP and DHCP server.  [default: bootctl's host]"
)
@click.option("--tftp-port", type=click.IntRange(1, 65535), default=PORT, hidden=True)
@click.option("--nodes", "count", type=click.IntRange(0, 50), default=3, show_default=True, help="Look at so many.")
@command_options()
def doctor(session: Session, /, *, boot_server: str, tftp_port: int, count: int) -> None:
    """Looks at the whole site and says what is not well, and what to do. For administrators.

    Exit status 1 if something does not work. Nothing is changed. Run it as root on a host beside the DHCP server to see
    what that offers.
    """
    host = boot_server or _host_of(session.settings.addresses.get("bootctl", ""))
    hosts = BootHosts(tftp=TftpServer(host=host, port=tftp_port), dhcp=DhcpServer(host=host))
    found = []
    for finding in look(session, hosts, count):
        found.append(finding)
        if session.form is output.Format.TABLE:
            _show(finding)
    if session.form.for_programs:
        data = [
            {"subject": each.subject, "state": str(each.state), "text": each.text, "advice": each.advice}
            for each in found
        ]
        output.show(session.form, columns=COLUMNS, rows=(), data=data, names=())
    elif session.form is output.Format.NAME:
        names = [each.subject for each in found if each.state is State.BAD]
        output.show(session.form, columns=COLUMNS, rows=(), data=None, names=names)
    wrong = sum(each.state is State.BAD for each in found)
    if session.form is output.Format.TABLE:
        output.say(f"{len(found)} checks: {wrong} bad" if wrong else f"{len(found)} checks: nothing is bad")
    finish(ExitCode.FAILED if wrong else ExitCode.OK)


def look(session: Session, hosts: BootHosts, count: int) -> Iterator[Finding]:
    """Gives the findings of all checks, as they come."""
    services = look_at_services(session)
    serving = {each.service for each in services if each.serves}
    yield from service_checks.check_services(services)
    yield from service_checks.check_clocks(services)
    yield from service_checks.check_certificates(session, services)
    for service in (each.service for each in services if each.answers):
        yield from findings_of(service, partial(service_checks.check_dependencies, session, service))
    if "deployer" in serving:
        yield from findings_of("deployer's host", lambda: service_checks.check_deployer(session))
    nodes = []
    if "inventory" in serving:
        try:
            nodes = node_checks.sample(session, count)
        except Failure as failure:
            yield Finding(subject="nodes", state=State.BAD, text=failure.message, advice=failure.advice)
    first = nodes[0] if nodes else None
    if "bootctl" in serving:
        yield from findings_of("TFTP tree", lambda: boot_checks.check_tree(session))
        yield from findings_of("boot files", lambda: boot_checks.check_fetching(session, first, hosts))
    yield from findings_of("DHCP", lambda: boot_checks.check_dhcp(first, hosts))
    if "deployer" in serving and nodes:
        yield from findings_of("BMCs", lambda: node_checks.check_power(session, nodes))
        yield from findings_of("ssh", lambda: node_checks.check_logins(session, nodes))


def _show(finding: Finding) -> None:
    state = click.style(f"{finding.state:<8}", fg=STYLES.get(finding.state))
    click.echo(f"{state} {output.printable(f'{finding.subject}: {finding.text}')}")
    if finding.advice:
        click.echo(f"         {output.printable(finding.advice)}")


def _host_of(address: str) -> str:
    return LOOPBACK if not address or address.startswith("unix:") else address.rpartition(":")[0].strip("[]")
