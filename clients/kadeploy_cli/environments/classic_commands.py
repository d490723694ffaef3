"""karecordenv and kaenvironments: the classic names and options for environments."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.environments import actions as environments
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.nodes.names import node_options
from kadeploy_cli.terminal.classic_command import ClassicCommand, version_option
from kadeploy_cli.terminal.failures import UsageFailure

Function = TypeVar("Function", bound=Callable[..., Any])

RECORDING = (
    click.option(
        "-fe", "--file-env", "file", metavar="FILE", help='The description, "key = value" lines or YAML; "-" for stdin.'
    ),
    click.option("-n", "--name", metavar="NAME", help="Its name."),
    click.option("-v", "--env-version", "version", metavar="N", help="Its version.  [default: 1]"),
    click.option("-d", "--description", metavar="TEXT", help="A word about it."),
    click.option("-a", "--author", metavar="ADDRESS", help="Whom to ask."),
    click.option("-s", "-size", "--size", metavar="MB", help="The least size of the partition."),
    click.option("-k", "--kernelpath", metavar="PATH", help='The kernel in the image; "chainload"; "mboot.c32".'),
    click.option("-p", "--kernelparam", metavar="TEXT", help="The kernel's arguments; the cluster's when left out."),
    click.option("-ft", "--filesite", metavar="FILE", help="The archive of the post-install script."),
    click.option("-fd", "--fdisktype", metavar="HEX", help="The partition's type byte.  [default: 83]"),
    click.option("-fs", "--filesystem", metavar="NAME", help="The file system.  [default: ext4 for tar images]"),
    click.option("-o", "--optsupport", metavar="TEXT", help="Flags for the post-install script."),
    click.option("--script", metavar="PATH", help="The script in the archive.  [default: traitement.ash]"),
    click.option("--visibility", metavar="WORD", help="private, shared or public.  [default: private]"),
    click.option(
        "-l", "--login", "owner", default="", metavar="USER", help="Record it as this user's (administrators)."
    ),
)


def recording_options(function: Function) -> Function:
    """Gives a command the options that describe an environment, but for those whose letters kaarchive has too."""
    for option in reversed(RECORDING):
        function = option(function)
    return function


@click.command(cls=ClassicCommand)
@recording_options
@click.option("-i", "--initrdpath", metavar="PATH", help="The initrd in the image.")
@click.option("-fb", "--filebase", metavar="FILE", help="The image: .tar.gz .tar.zst .dd.gz and the like, or its URL.")
@click.option("-z", "--cluster", metavar="NAME", help="The cluster that it is made for.")
@version_option
@command_options(form=None)
def karecordenv(session: Session, /, *, file: str | None, owner: str, **options: str | None) -> None:
    """Records an environment, with size and SHA-256 of its files.

    Options win over the description file. Relative paths in the file are relative to it.
    """
    finish(environments.record(session, file=file, options=options, owner=owner))


@click.command(cls=ClassicCommand)
@click.option("-e", "--environment", "name", metavar="NAME", help="Show this environment.")
@click.option("--env-version", "version", type=click.IntRange(1), metavar="N", help="With -e or -d: this version.")
@click.option("-a", "--add", "file", metavar="FILE", help="Record the environment of a description file.")
@click.option("-d", "--delete", "removed", metavar="NAME", help="Remove your own environment, every version of it.")
@click.option("-l", "--login", "owner", default="", metavar="USER", help="Of this owner.")
@click.option("--listlogin", is_flag=True, help="List who owns environments that you may use.")
@click.option("-z", "--cluster", default="", metavar="NAME", help="Those made for this cluster.")
@node_options
@version_option
@command_options(lists=True)
def kaenvironments(
    session: Session,
    /,
    *,
    name: str | None,
    version: int | None,
    file: str | None,
    removed: str | None,
    owner: str,
    listlogin: bool,
    cluster: str,
    machines: tuple[str, ...],
    node_file: str | None,
) -> None:
    """Lists your environments and the public ones; with -m or -f, what was deployed last on nodes."""
    on_nodes = bool(machines) or node_file is not None
    if sum((file is not None, removed is not None, name is not None, listlogin, on_nodes)) > 1:
        raise UsageFailure("-a, -d, -e, --listlogin and -m or -f are questions of their own: one at a time")
    if version is not None and name is None and removed is None:
        raise UsageFailure("--env-version goes with -e or -d")
    if cluster and (on_nodes or listlogin or (file, removed, name) != (None, None, None)):
        raise UsageFailure("-z goes with the list of environments")
    if file is not None:
        finish(environments.record(session, file=file, options={}, owner=owner))
    if removed is not None:
        finish(environments.delete(session, removed, version, owner))
    if name is not None:
        finish(environments.show_one(session, name, version, owner))
    if listlogin:
        finish(environments.show_owners(session))
    if machines or node_file is not None:
        finish(environments.show_on_nodes(session, str(node_names.required(machines, node_file))))
    finish(environments.show_list(session, owner=owner, cluster=cluster))
