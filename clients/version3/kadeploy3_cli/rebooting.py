"""kareboot3: version 3's words for reboots."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import click

from kadeploy.deployer.v1 import deployment_pb2
from kadeploy3_cli import options
from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.deployments import spec as deployment_spec
from kadeploy_cli.deployments.public_keys import DEFAULT_KEY
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.nodes import partitions
from kadeploy_cli.nodes.actions import partition_name
from kadeploy_cli.operations import node_control
from kadeploy_cli.operations.control_options import KINDS, LEVEL, lists, reboot_request, rescue_keys
from kadeploy_cli.terminal.classic_command import ClassicCommand
from kadeploy_cli.terminal.failures import UsageFailure
from kadeploy_nodeset import NodeSet

SIMPLE = "simple"
INSTEAD: Mapping[str, str] = {
    **options.INSTEAD,
    "-c": "a reboot destroys nothing: leave it out",
    "--check-destructive-tag": "a reboot destroys nothing: leave it out",
}


@click.command(cls=ClassicCommand, instead=INSTEAD)
@click.argument("word", required=False, metavar="[KIND]", type=click.Choice(list(KINDS)))
@click.option(
    "-r",
    "--reboot-kind",
    "kind",
    type=click.Choice(list(KINDS)),
    help="simple: what the boot entry says; deploy_env: the deployment environment; recorded_env: what was deployed. "
    "[default: simple]",
)
@click.option("-l", "--op-level", "level_word", type=LEVEL, help="How hard.  [default: the ladder of the cluster]")
@click.option("-e", "--env-name", "environment", default="", metavar="NAME", help="With recorded_env: this one.")
@click.option("-u", "--env-user", "owner", default="", metavar="USER", help="With -e: its owner.")
@click.option("--env-version", "version", type=click.IntRange(1), metavar="N", help="With -e: its version.")
@click.option("-p", "--partition-number", "partition", metavar="NUMBER", help="With recorded_env: where it stands.")
@click.option("-b", "--block-device", "device", metavar="DEVICE", help="With -p: the disk.")
@click.option(
    "-k",
    "--key",
    "key_files",
    multiple=True,
    is_flag=False,
    flag_value=DEFAULT_KEY,
    metavar="[FILE|URL]",
    help="With deploy_env: let the owners of these public keys log in there as root.",
)
@options.workflow_options
@command_options("--output", verbose_names=options.VERBOSE_NAMES)
def kareboot3(
    session: Session,
    /,
    *,
    word: str | None,
    kind: str | None,
    machines: tuple[str, ...],
    node_file: str | None,
    wait: bool,
    **given: Any,
) -> None:
    """Reboots nodes and waits until each of them runs what it should."""
    options.settle(session, given)
    if word and kind and word != kind:
        raise UsageFailure(f"{word} and -r {kind} say different things")
    nodes = node_names.required(machines, node_file)
    files = lists(given)
    words = _words(session, nodes, word or kind or SIMPLE, given)
    request = reboot_request(str(nodes), words)
    finish(node_control.reboot(session, request, files, wait=wait, keys=rescue_keys(words)))


def _words(session: Session, nodes: NodeSet, kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """Returns the options as kareboot has them."""
    if given["device"] and not given["partition"]:
        raise UsageFailure("-b says nothing without -p")
    device, number = deployment_spec.target(given["partition"], given["device"])
    environment, version = given["environment"], given["version"]
    if environment and number:
        # What is on a partition is known: that it is the environment is checked, and the partition is booted.
        wanted = _Environment(environment, version, given["owner"])
        _check_environment(session, nodes, wanted, device=device, number=number)
    level = (given["level_word"] or "").replace("-", "_")
    return {
        "kind": kind,
        "deployment_kernel": False,
        "label": "",
        "key_files": given["key_files"],
        "environment": "" if number else environment,
        "version": version,
        "owner": "" if number else given["owner"],
        "partition": (partition_name(device, number) if device else str(number)) if number else "",
        "soft": level == "soft",
        "hard": level == "hard",
        "very_hard": level == "very_hard",
        "prepare_only": False,
        "force": False,
        "kernel_arguments": "",
        "boot_method": None,
        "grub": False,
    }


class _Environment(NamedTuple):
    """An environment as it was named. No version, no owner: any."""

    name: str
    version: int | None
    owner: str

    def is_met_by(self, found: deployment_pb2.ResolvedEnvironment) -> bool:
        """Returns whether this is what was found."""
        return self.name == found.name and self.version in (None, found.version) and self.owner in ("", found.owner)


def _check_environment(session: Session, nodes: NodeSet, wanted: _Environment, *, device: str, number: int) -> None:
    """Refuses when another environment than the one that is named stands on the partition of a node."""
    states = partitions.fetch_states(session, str(nodes))
    for node in nodes:
        found = [
            status.environment
            for (of_node, on_device, partition), status in states.items()
            if of_node == node and partition == number and device in ("", on_device)
        ]
        if not any(wanted.is_met_by(each) for each in found):
            stands = ", ".join(f"{each.name} {each.version} of {each.owner}" for each in found) or "nothing deployed"
            raise UsageFailure(
                f"on partition {number} of {node} stands {stands}, and not {wanted.name}",
                advice="`kanodes -listpartition` shows what is installed on every partition.",
            )
