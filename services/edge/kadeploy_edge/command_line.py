"""What the command lines of all services share: `--version`, the settings, `serve`, one sentence on stderr."""

import argparse
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kadeploy_edge.settings_file import Table, describe


def shared_options() -> argparse.ArgumentParser:
    """Returns the options of every command of a service, to be used as a parent."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--config", type=Path, required=True, metavar="FILE", help="the settings (TOML)")
    levels = ("debug", "info", "warning", "error")
    shared.add_argument("--log-level", choices=levels, default="info", help="how much is logged (default: info)")
    return shared


def service_parser(service: str, description: str, *, distribution: str = "") -> argparse.ArgumentParser:
    """Returns the parser of a service. `distribution`: that brings it; empty where both have the same name."""
    parser = argparse.ArgumentParser(prog=service, description=description)
    parser.add_argument("-V", "--version", action="version", version=f"{service} {version(distribution or service)}")
    return parser


def add_serve(
    commands: Any,
    shared: argparse.ArgumentParser,
    *,
    serve: Callable[[Any, argparse.Namespace], int],
    read: Callable[[Table], object],
) -> None:
    """Adds `serve`, to be run as `options.run(settings, options)`.

    Args:
        commands: what commands are added to.
        shared: the options that all commands have.
        serve: answers calls until SIGTERM and returns the exit status.
        read: returns the settings of a file.
    """
    parser = commands.add_parser("serve", parents=[shared], help="answer calls until SIGTERM")
    parser.add_argument(
        "--insecure", action="store_true", help="plain text on loopback: every process of this host is believed"
    )
    parser.add_argument(
        "--print-config",
        action="store_true",
        help="print the settings as they are read, with defaults and absolute paths, and end; no secret is printed, "
        "because settings name the files with secrets",
    )

    def run(settings: Any, options: argparse.Namespace) -> int:
        if not options.print_config:
            return serve(settings, options)
        sys.stdout.write(describe(options.config, read))
        return 0

    parser.set_defaults(run=run)


def complain(service: str, sentence: str, status: int) -> int:
    """Writes one sentence to stderr and returns the exit status."""
    sys.stderr.write(f"{service}: {sentence}\n")
    return status
