"""`kadeploy-web`: serves the page."""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from kadeploy_edge.command_line import add_serve, complain, service_parser, shared_options
from kadeploy_edge.errors import DomainError
from kadeploy_edge.log_lines import set_up_logging
from kadeploy_edge.settings_file import BadSettings, load
from kadeploy_edge.tls import file_fingerprint
from kadeploy_web.application import make_application
from kadeploy_web.settings import HttpsFiles, Settings, read_settings

SERVICE = "kadeploy-web"
USAGE, FAILURE = 2, 1
STOP_SECONDS = 5
IDLE_SECONDS = 30
MOST_CONNECTIONS = 2000
LARGEST_HEAD_BYTES = 64 * 1024
LOOK_SECONDS = 10.0

_log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status."""
    parser = service_parser(SERVICE, "The web page of Kadeploy.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_serve(commands, shared_options(), serve=_serve, read=read_settings)
    options = parser.parse_args(arguments)
    set_up_logging(options.log_level, quiet=("uvicorn",))
    try:
        settings = load(options.config, read_settings)
    except BadSettings as error:
        return complain(SERVICE, str(error), USAGE)
    settings = replace(settings, services=replace(settings.services, insecure=options.insecure))
    try:
        status: int = options.run(settings, options)
    except (DomainError, OSError) as error:
        return complain(SERVICE, str(error), FAILURE)
    return status


class Server(uvicorn.Server):
    """Ends the event streams first when it stops: they would never end by themselves."""

    def __init__(self, config: uvicorn.Config, application: Starlette) -> None:
        super().__init__(config)
        self._application = application

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """As in uvicorn."""
        self._application.state.parts.streams.stop()
        super().handle_exit(sig, frame)

    async def startup(self, sockets: "list[object] | None" = None) -> None:  # type: ignore[override]
        """As in uvicorn; says where the page is."""
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            scheme = "https" if self.config.is_ssl else "http"
            _log.info("page on %s://%s:%d/", scheme, f"[{host}]" if ":" in host else host, port)


def _serve(settings: Settings, _options: argparse.Namespace) -> int:
    application = make_application(settings)
    https = settings.https
    config = uvicorn.Config(
        application,
        host=settings.host,
        port=settings.port,
        ssl_certfile=https.certificate if https else None,
        ssl_keyfile=https.private_key if https else None,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        h11_max_incomplete_event_size=LARGEST_HEAD_BYTES,
    )
    server = Server(config, application)
    asyncio.run(_serve_until_stopped(server, config, https))
    return 0 if server.started else FAILURE


async def _serve_until_stopped(server: Server, config: uvicorn.Config, https: HttpsFiles | None) -> None:
    following = asyncio.create_task(_follow_certificate(config, https)) if https else None
    try:
        await server.serve()
    finally:
        if following is not None:
            following.cancel()


async def _follow_certificate(config: uvicorn.Config, https: HttpsFiles) -> None:
    """Takes a renewed certificate of the page into use, for connections that begin then."""
    known = (file_fingerprint(https.certificate), file_fingerprint(https.private_key))
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        found = (file_fingerprint(https.certificate), file_fingerprint(https.private_key))
        if found == known or config.ssl is None:
            continue
        known = found
        try:
            config.ssl.load_cert_chain(https.certificate, https.private_key)
        except OSError as error:
            _log.warning("the changed certificate is not used, the one before stays: %s", error)


if __name__ == "__main__":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    sys.exit(main())
