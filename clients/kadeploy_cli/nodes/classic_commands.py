"""kaaddnode, kadelnode and kanodes: the classic names and options for nodes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.nodes import actions as nodes
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.nodes import node_states, partitions
from kadeploy_cli.nodes.commands import chosen, registration_options
from kadeploy_cli.nodes.names import node_options
from kadeploy_cli.terminal import foreign_words
from kadeploy_cli.terminal.classic_command import ClassicCommand, version_option
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import UsageFailure


@click.command(cls=ClassicCommand)
@click.argument("file")
@registration_options
@version_option
@command_options(form=None)
def kaaddnode(session: Session, /, *, file: str, dry_run: bool, **options: Any) -> None:
    r"""Registers the nodes of a description file ("-" for stdin), all or none.

    The classic file has two parts: lines "name mac ip", a line that begins with "\#", then "device size" and lines
    "number size environment". Sizes are in MB (1024 x 1024 bytes). The other form is YAML, known by the suffix
    .yaml or by its first line.
    """
    finish(nodes.register(session, nodes.described(file, **chosen(options)), dry_run=dry_run))


@click.command(cls=ClassicCommand)
@click.argument("names", nargs=-1, metavar="[NODES]...")
@node_options
@version_option
@command_options(form=None)
def kadelnode(session: Session, /, *, names: tuple[str, ...], machines: tuple[str, ...], node_file: str | None) -> None:
    """Removes nodes with their disks and partitions."""
    finish(nodes.delete(session, node_names.required((*names, *machines), node_file)))


@click.command(cls=ClassicCommand, instead=foreign_words.NODES)
@click.option(
    "-s", "--get-nodes-state", "states", is_flag=True, help="State of each node, who uses it, and what was last."
)
@click.option(
    "-d", "--get-deployments-status", "deployments", is_flag=True, help="The deployments under way; with -w, this one."
)
@click.option("-r", "--get-reboots-status", "reboots", is_flag=True, help="The reboots and power changes under way.")
@click.option("-p", "--get-powers-status", "powers", is_flag=True, help="The same.")
@click.option("-a", "--get-all-status", "all_status", is_flag=True, help="All that is under way.")
@click.option("-w", "--workflow-id", "workflow", default="", metavar="ID", help="With -d: only this deployment.")
@click.option("-l", "-listnode", "--listnode", "list_nodes", is_flag=True, help="List the nodes.")
@click.option(
    "-listpartition",
    "--listpartition",
    "list_partitions",
    is_flag=True,
    help="List what is installed on every partition, and by which deployment.",
)
@click.option("-del", "--del", "removed", multiple=True, metavar="NODES", help="Remove nodes. Repeatable.")
@click.option(
    "-add",
    "--add",
    "add",
    is_flag=True,
    help="Register the nodes of clusternodes.conf with the disk of clusterpartition.conf, all or none.",
)
@click.option(
    "-C",
    "--configuration",
    "directory",
    default="/etc/kadeploy",
    show_default=True,
    metavar="DIR",
    help="Where the two files are.",
)
@click.option("--dry-run", is_flag=True, help="With -add: check everything, change nothing.")
@click.option(
    "-z",
    "--cluster",
    default="",
    metavar="NAME",
    help="Only this cluster; with -add, the files with its name in theirs.",
)
@node_options
@version_option
@command_options(lists=True)
def kanodes(
    session: Session,
    /,
    *,
    workflow: str,
    list_nodes: bool,
    list_partitions: bool,
    removed: tuple[str, ...],
    add: bool,
    directory: str,
    dry_run: bool,
    cluster: str,
    machines: tuple[str, ...],
    node_file: str | None,
    **answers: bool,
) -> None:
    """Lists nodes, their state and what is installed on them; registers and removes nodes.

    -add takes nothing away: a node that stands there with another disk or other addresses is refused by name, and
    then none is registered.
    """
    # Version 3 took the id alone for the question after it.
    answers["deployments"] |= bool(workflow) and not any(answers.values())
    if list_nodes + list_partitions + bool(removed) + add + sum(answers.values()) != 1:
        raise UsageFailure("one of -s, -d, -r, -p, -a, -listnode, -listpartition, -add and -del HOST is needed")
    if workflow and not answers["deployments"]:
        raise UsageFailure("-w goes with -d: it names a deployment")
    # What an option would not do must not look as if it did.
    if dry_run and not add:
        raise UsageFailure("--dry-run goes with -add")
    if (removed or add) and (machines or node_file is not None):
        raise UsageFailure("-m and -f go with the lists; -del and -add name their nodes themselves")
    if removed and cluster:
        raise UsageFailure("-z goes with the lists and -add; -del names its nodes itself")
    if add:
        described = nodes.described_by_cluster_files(Path(directory), cluster)
        finish(nodes.register(session, described, dry_run=dry_run))
    if removed:
        finish(nodes.delete(session, node_names.required(removed, None)))
    wanted = str(node_names.from_options(machines, node_file))
    if any(answers.values()):
        if cluster and not answers["states"]:
            raise UsageFailure("-z goes with -s and the lists")
        finish(_answer(session, answers, wanted, cluster=cluster, workflow=workflow))
    show = nodes.show_list if list_nodes else partitions.show_list
    finish(show(session, wanted, cluster))


def _answer(session: Session, answers: Mapping[str, bool], wanted: str, *, cluster: str, workflow: str) -> ExitCode:
    """Answers what version 3's kanodes was asked."""
    if answers["states"]:
        return node_states.show_states(session, wanted, cluster)
    if answers["deployments"]:
        return node_states.show_deployments(session, wanted, workflow)
    if not answers["all_status"]:
        return node_states.show_operations(session, wanted)
    return node_states.show_all(session, wanted)
