"""The lab's command line: `python -m kadeploy_lab up|down|status|exec|console|power`."""

import os
import signal
import sys
from pathlib import Path
from types import FrameType

import click

from kadeploy_lab.checkout import known_labs, lab_root
from kadeploy_lab.commands import run
from kadeploy_lab.console import attach
from kadeploy_lab.errors import LabError
from kadeploy_lab.lab import Lab, end_lab
from kadeploy_lab.prerequisites import check_root

_POWER = click.Choice(["status", "on", "off", "cycle", "reset", "soft"])

name_option = click.option("--name", default="lab", show_default=True, help="Which lab.")


@click.group()
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    default=lab_root,
    help="Where the labs live, a directory each; build/lab of this checkout unless given.",
)
@click.pass_context
def cli(context: click.Context, root: Path) -> None:
    """Runs virtual clusters whose machines boot over PXE."""
    context.obj = root


@cli.command()
@name_option
@click.option("--nodes", default=2, show_default=True, help="How many machines.")
@click.option("--memory", default=768, show_default=True, help="MiB of memory of each.")
@click.option("--disk", default=8, show_default=True, help="GiB of disk of each (sparse).")
@click.option(
    "--tftp-root",
    type=click.Path(path_type=Path, file_okay=False),
    help="The tree that the TFTP server serves; the lab's own unless given.",
)
@click.pass_obj
def up(root: Path, *, name: str, nodes: int, memory: int, disk: int, tftp_root: Path | None) -> None:
    """Brings a lab up; its machines are off and their disks blank."""
    lab = Lab.up(
        name,
        root / name,
        node_count=nodes,
        memory_mib=memory,
        disk_gib=disk,
        tftp_root=tftp_root,
        say=click.echo,
    )
    show(lab)


@cli.command()
@name_option
@click.option("--all", "everything", is_flag=True, help="Every lab of this checkout.")
@click.pass_obj
def down(root: Path, *, name: str, everything: bool) -> None:
    """Ends a lab: its machines, its services, its network, its disks; the logs stay."""
    check_root()
    names = known_labs(root) if everything else [name]
    ended = [each for each in names if end_lab(each, root / each)]
    for each in ended:
        click.echo(f"The lab '{each}' is down.")
    if not ended:
        click.echo("No lab was up." if everything else f"The lab '{name}' was not up.")


@cli.command()
@name_option
@click.pass_obj
def status(root: Path, *, name: str) -> None:
    """Shows a lab and its machines; exit status 1 when a part of it is missing."""
    lab = Lab.load(root / name)
    show(lab)
    if lacking := lab.missing_services():
        raise LabError(f"Not running: {', '.join(lacking)}. Run `make lab-down`, then start again.")


@cli.command("exec", context_settings={"ignore_unknown_options": True})
@name_option
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_obj
def execute(root: Path, *, name: str, argv: tuple[str, ...]) -> None:
    """Runs a command inside the lab's network."""
    command = Lab.load(root / name).exec_argv(argv)
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606  # no shell is exactly what is wanted


@cli.command()
@name_option
@click.argument("node")
@click.pass_obj
def console(root: Path, *, name: str, node: str) -> None:
    """Connects to the serial console of a node; Ctrl-] leaves it."""
    machine = Lab.load(root / name).node(node)
    click.echo(f"Console of {node}; Ctrl-] leaves it. Earlier output: {machine.serial_log}")
    attach(machine.serial_socket)


@cli.command()
@name_option
@click.argument("node")
@click.argument("action", type=_POWER)
@click.pass_obj
def power(root: Path, *, name: str, node: str, action: str) -> None:
    """Switches a node by its BMC, with ipmitool."""
    lab = Lab.load(root / name)
    words = ["chassis", "power", action]
    click.echo(run(lab.exec_argv(lab.ipmi_argv(lab.node(node), words))).strip())


def show(lab: Lab) -> None:
    """Prints what a person needs to look around in a lab."""
    click.echo(f"Lab '{lab.name}' in {lab.directory}")
    click.echo(f"  namespace    {lab.namespace}  (gateway {lab.gateway_ip}, {lab.network})")
    click.echo(f"  accelerator  {lab.accelerator.name}: {lab.accelerator.reason}")
    click.echo(f"  TFTP tree    {lab.tftp_root}")
    for node in lab.nodes:
        state = "on " if lab.has_power(node) else "off"
        click.echo(f"  {node.name:8} {state}  {node.ip}  {node.mac}  BMC {node.bmc_address}")


def _stop(signal_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signal_number)


def main() -> None:
    """Runs the command line; every failure is one sentence and exit status 1."""
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _stop)  # so that `up` clears away what it began
    try:
        cli(prog_name="kadeploy_lab")
    except LabError as refusal:
        sys.exit(f"{refusal}")
    except OSError as refusal:
        sys.exit(f"The system refused: {refusal}.")


if __name__ == "__main__":
    main()
