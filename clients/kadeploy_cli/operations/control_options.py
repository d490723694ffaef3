"""The options of reboots and commands: shared by the classic names and `ka node`."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy_cli.deployments import spec as deployment_spec
from kadeploy_cli.deployments.public_keys import DEFAULT_KEY, read_keys
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.operations.node_control import LEVELS, Lists
from kadeploy_cli.terminal.failures import UsageFailure

Function = TypeVar("Function", bound=Callable[..., Any])
# A kexec needs the deployment environment.
METHODS = [word for word in deployment_spec.BOOT_METHODS if word != "kexec"]
SECONDS = click.FloatRange(0, 86_400, min_open=True)
# Kadeploy 3's kinds of reboots, and the options here that may stand beside each.
KINDS: dict[str, tuple[str, ...]] = {
    "simple": (),
    "deploy_env": ("deployment_kernel",),
    "recorded_env": ("environment", "partition"),
    "set_pxe": (),
}

FORCE_HELP = "Take the power of other nodes, too, that share a supply with these."

REBOOT = (
    click.option("-d", "--deploy", "deployment_kernel", is_flag=True, help="Into the deployment environment."),
    click.option(
        "--label", default="", metavar="LABEL", help="With -d: this deployment kernel instead of the cluster's."
    ),
    click.option(
        "-e", "--environment", default="", metavar="NAME", help="Into this environment, where it was deployed last."
    ),
    click.option("--env-version", "version", type=click.IntRange(1), metavar="N", help="With -e: its version."),
    click.option("-l", "--login", "owner", default="", metavar="USER", help="With -e: whose environment it is."),
    click.option(
        "-p",
        "--partition",
        default="",
        metavar="PARTITION",
        help="Into what was deployed on this partition: 3, sda3, /dev/sda3.",
    ),
    click.option(
        "-r",
        "--reboot-kind",
        "kind",
        type=click.Choice(list(KINDS)),
        help="As Kadeploy 3 says it: simple, deploy_env (-d), recorded_env (with -e or -p).",
    ),
    click.option(
        "-k",
        "--key",
        "key_files",
        multiple=True,
        is_flag=False,
        flag_value=DEFAULT_KEY,
        metavar="[FILE|URL]",
        help="With -d: let the owners of these public keys log in there as root; yours in ~/.ssh without FILE.",
    ),
    click.option("-s", "--soft", "soft", is_flag=True, help="Log in and reboot, and try nothing harder."),
    click.option("-h", "--hard", "hard", is_flag=True, help="Reset at once, and try nothing else."),
    click.option("--very-hard", "very_hard", is_flag=True, help="Take the power away at once."),
    click.option("--force", is_flag=True, help=FORCE_HELP),
    click.option("-n", "--noreboot", "prepare_only", is_flag=True, help="Write the boot files and do not reboot."),
    click.option(
        "-kp", "--kernel-parameters", "kernel_arguments", default="", metavar="TEXT", help="Instead of the target's."
    ),
    click.option(
        "--boot-method",
        type=click.Choice(METHODS),
        help="With -e or -p: how it boots, from now on.  [default: as it was deployed]",
    ),
    click.option("--grub", is_flag=True, help="The same as --boot-method grub."),
)
OK_HELP = "Write the nodes that did it there."
BAD_LIST = click.option("--output-ko-nodes", "bad_file", metavar="FILE", help="Write the other nodes there.")
CLASSIC_LISTS = (click.option("-o", "--output-ok-nodes", "good_file", metavar="FILE", help=OK_HELP), BAD_LIST)
# kareboot's -n is another.
POWER_LISTS = (
    CLASSIC_LISTS[0],
    click.option("-n", "--output-ko-nodes", "bad_file", metavar="FILE", help="Write the other nodes there."),
)
# With `ka`, -o is the form of the result, as everywhere.
LISTS = (click.option("--output-ok-nodes", "good_file", metavar="FILE", help=OK_HELP), BAD_LIST)


def _given(options: tuple[Callable[[Any], Any], ...]) -> Callable[[Function], Function]:
    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


reboot_options = _given(REBOOT)
list_options = _given(LISTS)
classic_list_options = _given(CLASSIC_LISTS)
power_list_options = _given(POWER_LISTS)
no_wait_option = click.option("--no-wait", is_flag=True, help="Print the operation's id, and do not wait.")
id_file_option = click.option("--write-workflow-id", "id_file", metavar="FILE", help="Write the operation's id there.")


class Level(click.Choice[str]):
    """How hard, with a hyphen or, as Kadeploy 3 has it, an underscore."""

    name = "level"

    def __init__(self) -> None:
        super().__init__(list(LEVELS))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """As click, with very_hard for very-hard."""
        return super().convert(str(value).replace("_", "-"), param, ctx)


LEVEL = Level()


def lists(options: dict[str, Any]) -> Lists:
    """Takes the files for the lists out of the options."""
    return Lists(
        good_file=options.pop("good_file"),
        bad_file=options.pop("bad_file"),
        id_file=options.pop("id_file", None),
        script=options.pop("script", None),
    )


def rescue_keys(options: dict[str, Any]) -> list[str]:
    """Returns the keys whose owners may log in to the deployment environment."""
    return list(dict.fromkeys(key for source in options["key_files"] for key in read_keys(source)))


def reboot_request(nodes: str, options: dict[str, Any]) -> deployer_service_pb2.RebootNodesRequest:
    """Returns what the options ask for, or says which of them exclude each other."""
    _apply_kind(options)
    wanted = [name for name in ("deployment_kernel", "environment", "partition") if options[name]]
    if len(wanted) > 1:
        raise UsageFailure("of -d, -e and -p only one can be given: a node boots one system")
    _check_companions(options)
    if not wanted and (options["prepare_only"] or options["kernel_arguments"]):
        word = "-n" if options["prepare_only"] else "-kp"
        raise UsageFailure(f"{word} says nothing without -d, -e or -p: a simple reboot boots what the entry says")
    levels = [name for name in ("soft", "hard", "very_hard") if options[name]]
    if len(levels) > 1 or (levels and options["prepare_only"]):
        raise UsageFailure("of -s, -h, --very-hard and -n only one can be given")
    request = deployer_service_pb2.RebootNodesRequest(
        nodes=nodes,
        prepare_only=options["prepare_only"],
        force=options["force"],
        kernel_arguments=options["kernel_arguments"],
        boot_method=_boot_method(options),
        level=LEVELS[levels[0].replace("_", "-")] if levels else deployer_service_pb2.CONTROL_LEVEL_UNSPECIFIED,
    )
    if options["deployment_kernel"]:
        request.deployment_kernel.label = options["label"]
        request.deployment_kernel.SetInParent()
    elif options["environment"]:
        request.environment.name, request.environment.owner = options["environment"], options["owner"]
        if options["version"]:
            request.environment.version = options["version"]
    elif options["partition"]:
        request.partition.device, request.partition.partition = deployment_spec.target(options["partition"], None)
    else:
        request.simple.SetInParent()
    return request


def _check_companions(options: dict[str, Any]) -> None:
    """Refuses options that say nothing without another one."""
    if options["key_files"] and not options["deployment_kernel"]:
        raise UsageFailure("-k goes with -d (deploy_env): kaaddkeys adds keys to a system that is deployed")
    if options["label"] and not options["deployment_kernel"]:
        raise UsageFailure("--label says nothing without -d")
    if options["owner"] and not options["environment"]:
        is_level = options["owner"].replace("_", "-") in LEVELS
        advice = "The level is --soft (-s), --hard (-h) or --very-hard." if is_level else ""
        raise UsageFailure("-l says nothing without -e: it names the owner of the environment", advice=advice)


def _apply_kind(options: dict[str, Any]) -> None:
    """Checks the kind of Kadeploy 3 against the options that say the same here, and adds what it alone says."""
    kind = options.pop("kind")
    if kind is None:
        return
    if kind == "set_pxe":
        raise UsageFailure(
            "set_pxe boots files of the user's own, which no command here writes",
            advice="-n with -d, -e or -p writes the boot files of a system and does not reboot.",
        )
    if kind == "deploy_env":
        options["deployment_kernel"] = True
    given = [name for name in ("deployment_kernel", "environment", "partition") if options[name]]
    if kind == "recorded_env" and not given:
        raise UsageFailure("recorded_env needs -e NAME, or -p PARTITION for what was deployed there")
    if any(name not in KINDS[kind] for name in given):
        raise UsageFailure(f"{kind} and -d, -e or -p say different things: a node boots one system")


def _boot_method(options: dict[str, Any]) -> "deployment_pb2.BootMethod.ValueType":
    said = {"--boot-method": options["boot_method"], "--grub": "grub" if options["grub"] else None}
    method = deployment_spec.boot_method(said)
    if method and not (options["environment"] or options["partition"]):
        raise UsageFailure("--boot-method and --grub say nothing without -e or -p")
    return method


def one_node(machines: tuple[str, ...]) -> str:
    """Returns the node that a console is wanted of."""
    nodes = node_names.required(machines, None)
    if len(nodes) != 1:
        raise UsageFailure(f"{nodes} is more than one node, and a terminal shows one console")
    return str(nodes)
