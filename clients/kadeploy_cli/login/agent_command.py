"""`kadeploy-login-agent`: runs the agent of a login host until SIGTERM."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kadeploy_cli.login.agent import LoginAgent, own_host
from kadeploy_edge.caller import AGENT_PREFIX
from kadeploy_edge.channel import open_aio_channel
from kadeploy_edge.command_line import add_serve, complain, service_parser, shared_options
from kadeploy_edge.errors import DomainError
from kadeploy_edge.log_lines import set_up_logging
from kadeploy_edge.settings_file import BadSettings, Table, load
from kadeploy_edge.stopping import stop_signal
from kadeploy_edge.tls import TlsFiles

TITLE = "Settings of the agent of a login host: kadeploy-login-agent serve --config THIS-FILE"
PROGRAM, DISTRIBUTION = "kadeploy-login-agent", "kadeploy-client"
DEFAULT_SOCKET = Path("/run/kadeploy-login/socket")
USAGE, FAILURE, INTERRUPTED = 2, 1, 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of the agent: its socket, where the inventory answers, and the certificate of this host's agent."""

    socket: Path
    inventory_address: str
    tls: TlsFiles | None
    insecure: bool = False


def read_settings(table: Table) -> Settings:
    """Returns what the file says."""
    return Settings(
        socket=table.path(
            "socket", DEFAULT_SOCKET, doc="Where users reach it: a Unix socket, which everybody on the host may open."
        ),
        inventory_address=table.text("inventory_address", doc="Where the inventory answers.", example="127.0.0.1:7401"),
        tls=_read_tls(table.table("tls")),
    )


def _read_tls(table: Table) -> TlsFiles | None:
    table.describe(
        "The certificate of this host's agent, as `ka pki issue agent HOST` makes it (docs/identity.md). Renewed ones "
        "are read without a restart.",
        optional=True,
    )
    if not table.is_there:
        return None
    # The agent calls, and is called by nobody: it needs no revocation list.
    place = "/etc/kadeploy/tls/login-agent"
    return TlsFiles(
        certificate=table.path("certificate", doc="The agent's certificate.", example=f"{place}/certificate.pem"),
        private_key=table.path("private_key", doc="Its key.", example=f"{place}/private_key.pem"),
        ca=table.path("ca", doc="The site's authority.", example=f"{place}/ca.pem"),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status."""
    options = build_parser().parse_args(arguments)
    set_up_logging(options.log_level)
    try:
        settings = load(options.config, read_settings)
    except BadSettings as error:
        return complain(PROGRAM, str(error), USAGE)
    try:
        status: int = options.run(settings, options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (DomainError, OSError) as error:
        return complain(PROGRAM, str(error), FAILURE)
    return status


async def _serve(settings: Settings, *, insecure: bool) -> int:
    stopped = stop_signal()
    channel = open_aio_channel(
        settings.inventory_address, caller=f"{AGENT_PREFIX}{own_host()}", tls=settings.tls, insecure=insecure
    )
    async with channel:
        server = await LoginAgent(channel).start(settings.socket)
        sys.stderr.write(f"{PROGRAM}: listening on unix:{settings.socket}\n")
        await stopped.wait()
        server.close()
    settings.socket.unlink(missing_ok=True)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    parser = service_parser(PROGRAM, "The agent of `ka login` on a login host.", distribution=DISTRIBUTION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def serve(settings: Settings, options: argparse.Namespace) -> int:
        return asyncio.run(_serve(settings, insecure=options.insecure))

    add_serve(commands, shared_options(), serve=serve, read=read_settings)
    return parser


if __name__ == "__main__":
    sys.exit(main())
