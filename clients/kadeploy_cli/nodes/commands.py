"""`ka node`: the machines."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from kadeploy.inventory.v1 import node_pb2
from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.descriptions import cluster_profile, nodes_yaml
from kadeploy_cli.descriptions.text import decode
from kadeploy_cli.nodes import actions as nodes
from kadeploy_cli.nodes import diagnosis, inspection
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.terminal.failures import UsageFailure

FIRMWARES = {"bios": node_pb2.FIRMWARE_BIOS, "uefi": node_pb2.FIRMWARE_UEFI}


Function = TypeVar("Function", bound=Callable[..., Any])


def registration_options(function: Function) -> Function:
    """Gives a command what says more about the nodes of a description file."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Check everything, change nothing."),
        click.option(
            "--gpt", is_flag=True, help="Their disks get a GPT instead of an MBR partition table (classic files)."
        ),
        click.option(
            "--firmware",
            type=click.Choice(list(FIRMWARES)),
            help="How they boot (classic files).  [default: bios]",
        ),
        click.option(
            "--cluster", default="", metavar="NAME", help='The cluster of the nodes; "default" when left out.'
        ),
    ):
        function = option(function)
    return function


def chosen(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options of a registration as `nodes.described` takes them."""
    firmware = options["firmware"]
    return {**options, "firmware": FIRMWARES[firmware] if firmware else None}


@click.group()
def node() -> None:
    """The machines of the site."""


@node.command("list")
@click.argument("node_set", default="", metavar="[NODES]")
@click.option("--cluster", default="", metavar="NAME", help="Only the nodes of this cluster.")
@command_options(lists=True)
def list_nodes(session: Session, /, *, node_set: str, cluster: str) -> None:
    """Lists nodes."""
    wanted = str(node_names.parse(node_set, "NODES")) if node_set else ""
    finish(nodes.show_list(session, wanted, cluster))


@node.command()
@click.argument("name")
@command_options()
def show(session: Session, /, *, name: str) -> None:
    """Shows a node with its disks, partitions and commands."""
    finish(nodes.show_one(session, node_names.single(name) if name else name))


@node.command()
@click.argument("name", metavar="NODE")
@command_options()
def diagnose(session: Session, /, *, name: str) -> None:
    """Says why a node did not come: where its last boot broke, and what shows it."""
    finish(diagnosis.show(session, node_names.single(name)))


@node.command("inspect")
@click.argument("node_set", metavar="NODES")
@click.option("--check", is_flag=True, help="Say in what they differ from the inventory; exit status 1 if they do.")
@click.option("--no-reboot", is_flag=True, help="Leave nodes alone that do not run the deployment environment.")
@command_options()
def inspect_nodes(session: Session, /, *, node_set: str, check: bool, no_reboot: bool) -> None:
    """Reads what nodes are made of, from the deployment environment.

    Nodes that run something else are booted into it, and stay there. Prints YAML that kaaddnode takes: addresses,
    firmware, and each disk with its size and what it is known by; processors, memory and cards stand in comments.
    """
    finish(inspection.inspect(session, node_names.required([node_set], None), check=check, may_reboot=not no_reboot))


@node.command()
@click.argument("network")
@click.option("--all", "everything", is_flag=True, help="Print registered machines, too.")
@command_options()
def discover(session: Session, /, *, network: str, everything: bool) -> None:
    """Finds machines that run the deployment environment without being registered.

    The deployer logs in at each address of NETWORK (10.0.0.0/24; at most 1024 addresses) and takes those that prove
    the deployment environment's host key. bootctl's setting `unknown_machines` boots machines without an entry so.
    """
    finish(inspection.discover(session, network, everything=everything))


@node.command()
@click.argument("file")
@registration_options
@command_options(form=None)
def register(session: Session, /, *, file: str, dry_run: bool, **options: Any) -> None:
    """Registers the nodes of a description file, classic or YAML ("-" for stdin), all or none."""
    finish(nodes.register(session, nodes.described(file, **chosen(options)), dry_run=dry_run))


@node.command()
@click.argument("node_set", metavar="NODES")
@click.option("--cluster", metavar="NAME", help="Move the nodes to this cluster.")
@click.option("--firmware", type=click.Choice(list(FIRMWARES)), help="How they boot.")
@click.option("--mac", metavar="ADDRESS", help="The MAC address (one node alone).")
@click.option("--ip", metavar="ADDRESS", help="The IPv4 address (one node alone).")
@click.option("--uuid", metavar="UUID", help="What the firmware calls the machine (one node alone).")
@click.option(
    "--bmc",
    "--bmc-address",
    metavar="ADDRESS",
    help='Where the management controller answers; "{name}" and "{node_short}" stand for its name.',
)
@click.option(
    "--label", "labels", multiple=True, metavar="KEY=VALUE", help="Add a label; KEY= takes it away. Repeatable."
)
@click.option("--commands", metavar="FILE", help="A YAML file with command templates for these nodes alone.")
@click.option(
    "--disks", metavar="FILE", help='A YAML file with "disks", which take the place of those that stand there.'
)
@command_options(form=None)
def update(
    session: Session,
    /,
    *,
    node_set: str,
    cluster: str | None,
    firmware: str | None,
    mac: str | None,
    ip: str | None,
    uuid: str | None,
    bmc: str | None,
    labels: tuple[str, ...],
    commands: str | None,
    disks: str | None,
) -> None:
    """Changes nodes."""
    wanted = node_names.required([node_set], None)
    if (mac or ip or uuid) and len(wanted) > 1:
        raise UsageFailure("--mac, --ip and --uuid are for one node alone")
    values = {
        "cluster": cluster,
        "mac_address": mac.lower().replace("-", ":") if mac else mac,
        "ip_address": ip,
        "uuid": uuid.lower() if uuid else uuid,
        "bmc_address": bmc,
        "firmware": FIRMWARES[firmware] if firmware else None,
    }
    kept = {path: value for path, value in values.items() if value is not None}
    changes = node_pb2.Node(labels=dict(_label(word) for word in labels))
    for path, value in kept.items():
        setattr(changes, path, value)
    paths = list(kept) + (["labels"] if labels else [])
    if commands is not None:
        source = "stdin" if commands == "-" else commands
        changes.commands.CopyFrom(
            cluster_profile.parse_commands(decode(node_names.read_file(commands), source), source)
        )
        paths.append("commands")
    if disks is not None:
        source = "stdin" if disks == "-" else disks
        changes.disks.extend(nodes_yaml.parse_disks(decode(node_names.read_file(disks), source), source))
        paths.append("disks")
    if not paths:
        raise UsageFailure("nothing to change is named", advice="`ka node update --help` lists what can be changed.")
    finish(nodes.update(session, wanted, changes, paths))


def _label(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not key or not equals:
        raise UsageFailure(f"--label {word!r}: KEY=VALUE is expected")
    return key, value


@node.command()
@click.argument("node_set", metavar="NODES")
@command_options(form=None)
def delete(session: Session, /, *, node_set: str) -> None:
    """Removes nodes with their disks and partitions."""
    finish(nodes.delete(session, node_names.required([node_set], None)))
