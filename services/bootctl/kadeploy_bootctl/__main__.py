"""`kadeploy-bootctl`: serves the TFTP tree's contract, lays the tree out, installs deployment kernels."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kadeploy_bootctl import bootstrap
from kadeploy_bootctl.settings import Settings, read_settings
from kadeploy_bootctl.tree.check import check_tree
from kadeploy_bootctl.tree.installer import install_label, lay_out
from kadeploy_edge.command_line import add_serve, complain, service_parser, shared_options
from kadeploy_edge.errors import DomainError
from kadeploy_edge.log_lines import set_log_format, set_up_logging
from kadeploy_edge.private_file import closed_to_others
from kadeploy_edge.server import serve
from kadeploy_edge.settings_file import BadSettings

SERVICE = "kadeploy-bootctl"
USAGE, FAILURE, INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status."""
    options = build_parser().parse_args(arguments)
    set_up_logging(options.log_level)
    try:
        settings = replace(Settings.load(options.config), insecure=getattr(options, "insecure", False))
    except BadSettings as error:
        return complain(SERVICE, str(error), USAGE)
    set_log_format(settings.log_format)
    try:
        status: int = options.run(settings, options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except DomainError as error:
        return complain(SERVICE, error.message, FAILURE)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return complain(SERVICE, f"{where}{error.strerror or error}", FAILURE)
    return status


def _serve(settings: Settings, _options: argparse.Namespace) -> int:
    # What machines read gets its mode by name; all else that a server makes is closed.
    with closed_to_others(), bootstrap.collector(runtime := bootstrap.open_runtime(settings)):
        return asyncio.run(
            serve(
                bootstrap.registration(runtime),
                bootstrap.server_settings(settings),
                dependencies=bootstrap.dependencies(settings),
                metrics=bootstrap.make_metrics(settings),
            )
        )


def _init(settings: Settings, options: argparse.Namespace) -> int:
    done = lay_out(
        bootstrap.layout_of(settings),
        sources=bootstrap.sources_of(settings),
        defaults=bootstrap.default_files(settings),
        network_grub=bootstrap.network_grub(settings),
        owner=options.owner,
    )
    for line in done:
        _say(line)
    _say(f"{settings.tftp_root} is laid out")
    return 0


def _check(settings: Settings, _options: argparse.Namespace) -> int:
    findings = check_tree(
        bootstrap.layout_of(settings),
        labels=settings.labels,
        sources=bootstrap.sources_of(settings),
        reserved_bytes=settings.reserved_bytes,
    )
    for finding in findings:
        _say(f"{finding.kind}: {finding.path}: {finding.description}")
    if not findings:
        _say(f"{settings.tftp_root} is as it should be")
    return FAILURE if findings else 0


def _install_label(settings: Settings, options: argparse.Namespace) -> int:
    label = settings.labels.get(options.name)
    if label is None:
        known = ", ".join(sorted(settings.labels)) or "none"
        advice = f"add [labels.{options.name}] with kernel and initrd; it knows: {known}"
        return complain(SERVICE, f"{options.config} does not know the label {options.name!r}: {advice}", USAGE)
    if bool(label.initrd) != (options.initrd is not None):
        wanted = "needs --initrd" if label.initrd else "has no initrd in the settings"
        return complain(SERVICE, f"the label {label.name!r} {wanted}", USAGE)
    done = install_label(bootstrap.layout_of(settings), label, kernel=options.kernel, initrd=options.initrd)
    for line in done:
        _say(line)
    _say(f"label {label.name} is installed")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    shared = shared_options()
    parser = service_parser(SERVICE, "Decides what every machine boots next.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    add_serve(commands, shared, serve=_serve, read=read_settings)
    init = commands.add_parser("init", parents=[shared], help="lay the TFTP tree out; may be repeated")
    init.add_argument("--owner", default="", metavar="USER", help="who gets the directories that bootctl writes")
    init.set_defaults(run=_init)
    check = commands.add_parser("check", parents=[shared], help="verify the tree; status 1 when something is wrong")
    check.set_defaults(run=_check)
    labels = commands.add_parser("label", help="deployment kernels").add_subparsers(required=True, metavar="COMMAND")
    install = labels.add_parser("install", parents=[shared], help="copy a deployment kernel into the tree")
    install.add_argument("name", metavar="NAME", help="a label of the settings, such as deploy")
    install.add_argument("--kernel", type=Path, required=True, metavar="FILE")
    install.add_argument("--initrd", type=Path, metavar="FILE")
    install.set_defaults(run=_install_label)
    return parser


if __name__ == "__main__":
    sys.exit(main())
