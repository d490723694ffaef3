"""The options of a deployment: shared by kadeploy and `ka deployment start|plan`."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from kadeploy_cli.deployments.public_keys import DEFAULT_KEY
from kadeploy_cli.deployments.spec import BOOT_METHODS, BUSY_POLICIES, Options
from kadeploy_cli.nodes.names import node_options

Function = TypeVar("Function", bound=Callable[..., Any])
SECONDS = click.FloatRange(0, 86_400, min_open=True)
TMP_FILE_SYSTEM = "ext4"
WAIT_SECONDS = click.FloatRange(0, 30 * 86_400, min_open=True)

WANTED = (
    click.argument("bare_environment", required=False, metavar="[NAME]"),
    click.option("-e", "--environment", "--env-name", metavar="NAME", help="What to deploy; NAME alone says the same."),
    click.option(
        "-a",
        "--env-file",
        "environment_file",
        metavar="FILE",
        help="Deploy the environment of a description (a file, its URL), which is not recorded.",
    ),
    click.option("-l", "--login", "--env-user", "owner", default="", metavar="USER", help="Whose environment it is."),
    click.option(
        "--env-version", "version", type=click.IntRange(1), metavar="N", help="Its version; the latest when left out."
    ),
    node_options,
    click.option(
        "-p", "--partition", metavar="PARTITION", help="The target: 3, sda3, /dev/sda3; the cluster's when left out."
    ),
    click.option(
        "-d",
        "-b",
        "--device",
        "--block-device",
        "device",
        metavar="DEVICE",
        help="The target's disk: sda, /dev/sda; the cluster's when left out.",
    ),
    click.option(
        "--partition-disk",
        "write_partition_table",
        is_flag=True,
        help="Write the partition table first. EVERYTHING ON THE DISK IS LOST.",
    ),
    click.option(
        "--whole-disk",
        "whole_disk",
        is_flag=True,
        help="Write an image of a whole disk over the device. EVERYTHING ON THE DISK IS LOST.",
    ),
    click.option(
        "-k",
        "--keys",
        "--key",
        "key_files",
        multiple=True,
        is_flag=False,
        flag_value=DEFAULT_KEY,
        metavar="[FILE|URL]",
        help="Let the owners of these public keys log in as root; without FILE those of your own in ~/.ssh: id_*.pub "
        "and authorized_keys. Repeatable.",
    ),
    click.option(
        "-r",
        "--reformat-tmp",
        default="",
        is_flag=False,
        flag_value=TMP_FILE_SYSTEM,
        metavar="[FS]",
        help=f"Format the tmp partition with this file system; {TMP_FILE_SYSTEM} without FS.",
    ),
    click.option(
        "--boot-method",
        type=click.Choice(list(BOOT_METHODS)),
        help="How the new system boots: its kernel over the network, GRUB from the node's disk, the partition's own "
        "loader, or at once by kexec. As its environment says when left out, which is network for most.",
    ),
    click.option("-F", "--fast-kernel-reboot", "kexec", is_flag=True, help="The same as --boot-method kexec."),
    click.option("--grub", is_flag=True, help="The same as --boot-method grub."),
    click.option(
        "-u",
        "--use-prod-env",
        "use_production_system",
        is_flag=True,
        help="Deploy from the running system, without the first reboot.",
    ),
    click.option("--kernel-arguments", default="", metavar="TEXT", help="Instead of the environment's."),
    click.option(
        "--busy",
        type=click.Choice(list(BUSY_POLICIES)),
        default="exclude",
        show_default=True,
        help="What to do about nodes that another deployment holds.",
    ),
    click.option(
        "--wait-timeout",
        type=WAIT_SECONDS,
        metavar="S",
        help="How long to wait for busy nodes, or for the waiting place. The site may allow less (by default a day).",
    ),
    click.option(
        "--timeout-first", "first_check_timeout", type=SECONDS, metavar="S", help="For the deployment environment."
    ),
    click.option("--timeout-last", "last_check_timeout", type=SECONDS, metavar="S", help="For the new system."),
    click.option(
        "--cloud-init",
        "cloud_init",
        metavar="FILE",
        help="User data that cloud-init reads at the first boot of the new system. {node}, {node_short}, {node_ip} and "
        "{deployment} in it stand for the node's.",
    ),
    click.option("--cloud-init-meta-data", "cloud_init_meta_data", metavar="FILE", help="The same, its meta data."),
    click.option(
        "--cloud-init-network", "cloud_init_network", metavar="FILE", help="The same, its network configuration."
    ),
    click.option("--user", default="", metavar="USER", help="On behalf of this user (administrators)."),
)


def wanted_options(function: Function) -> Function:
    """Gives a command the options that `deployment_spec.Options` is made of."""
    decorated: Any = function
    for option in reversed(WANTED):
        decorated = option(decorated)
    result: Function = decorated
    return result


def wanted(options: dict[str, Any]) -> Options:
    """Returns the options as a value."""
    return Options(**options)
