"""kadeploy3: version 3's words for a deployment."""

from collections.abc import Mapping
from typing import Any

import click

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_pb2
from kadeploy3_cli import expressions, options
from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.deployments import actions as deployments
from kadeploy_cli.deployments import deploy
from kadeploy_cli.deployments import spec as deployment_spec
from kadeploy_cli.deployments.deploy import Aftermath
from kadeploy_cli.deployments.public_keys import DEFAULT_KEY
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.terminal.classic_command import ClassicCommand
from kadeploy_cli.terminal.failures import UsageFailure
from kadeploy_cli.terminal.output import Format

INSTEAD: Mapping[str, str] = {
    **options.INSTEAD,
    "-c": "the partition that is deployed is the one that boots: -p NUMBER",
    "--boot-partition": "the partition that is deployed is the one that boots: -p NUMBER",
    "--force-steps": "the cluster's profile has the timeouts and retries of steps; --reboot-classical-timeout changes "
    "those of one deployment",
}
PARTITION_STEP = "partition"


@click.command(cls=ClassicCommand, instead=INSTEAD)
@click.argument("bare_environment", required=False, metavar="[NAME]")
@click.option("-e", "--env-name", "environment", metavar="NAME", help="The recorded environment; NAME says the same.")
@click.option(
    "-a",
    "--env-file",
    "environment_file",
    metavar="FILE|URL",
    help="Deploy the environment of a description, which is not recorded.",
)
@click.option("-u", "--env-user", "owner", default="", metavar="USER", help="Its owner.")
@click.option("--env-version", "version", type=click.IntRange(1), metavar="N", help="Its version.")
@click.option("-p", "--partition-number", "partition", metavar="NUMBER", help="The target: 3.")
@click.option(
    "-b",
    "--block-device",
    "device",
    metavar="DEVICE",
    help="The target's disk: /dev/sda. Without -p, the image is written over all of it.",
)
@click.option(
    "-k",
    "--key",
    "key_files",
    multiple=True,
    is_flag=False,
    flag_value=DEFAULT_KEY,
    metavar="[FILE|URL]",
    help="Let the owners of these public keys log in as root; without FILE those of ~/.ssh/authorized_keys, and yours.",
)
@click.option("-r", "--reformat-tmp", default="", metavar="FSTYPE", help="Format the tmp partition so.")
@click.option("--no-kexec", is_flag=True, help="Boot the new system through the firmware.")
@click.option("--disable-bootloader-install", is_flag=True, help="As always here: the network boots the new system.")
@click.option("--disable-disk-partitioning", is_flag=True, help="Refuse to write the partition table.")
@click.option(
    "--reboot-classical-timeout",
    "classical_timeout",
    metavar="EXPRESSION",
    help="Seconds for each reboot, in which n is the number of nodes: (200+n*4).",
)
@click.option("--reboot-kexec-timeout", "kexec_timeout", metavar="EXPRESSION", help="The same for a boot by kexec.")
@click.option("--secure/--no-secure", "secure", default=True, hidden=True)
@click.option("--dry-run", is_flag=True, help="Say what would happen, and touch nothing.")
@options.workflow_options
@command_options("--output", form=Format.TEXT, follows=True, verbose_names=options.VERBOSE_NAMES)
def kadeploy3(session: Session, /, *, wait: bool, dry_run: bool, **given: Any) -> None:
    """Deploys an environment on nodes, and says how it went for each of them.

    Exit status: 0 every node is deployed; 6 some are, 1 none is; 2, 4 and 5 nothing was started; 3 a service does not
    answer.
    """
    options.settle(session, given)
    if not given.pop("secure"):
        raise UsageFailure("--no-secure: every call is encrypted here", advice="Leave it out.")
    aftermath = Aftermath(**{name: given.pop(name) for name in ("good_file", "bad_file", "script", "id_file")})
    if dry_run:
        deploy.refuse_results(aftermath, beside="a dry run")
        if not wait or aftermath.id_file is not None:
            raise UsageFailure("--dry-run begins nothing: --no-wait and --write-workflow-id say nothing beside it")
    elif not wait:
        deploy.refuse_results(aftermath, beside="who does not wait")
    spec = _spec(session, given)
    if dry_run:
        finish(deployments.show_plan(session, spec))
    finish(deploy.run(session, spec, detach=not wait, aftermath=aftermath))


def _spec(session: Session, given: dict[str, Any]) -> deployment_pb2.DeploymentSpec:
    """Returns what is asked of the deployer."""
    given["whole_disk"] = bool(given["device"]) and not given["partition"]
    no_kexec, no_table = given.pop("no_kexec"), given.pop("disable_disk_partitioning")
    # No loader is installed on a disk of itself: the network boots the kernel, or GRUB.
    given.pop("disable_bootloader_install")
    classical, kexec = given.pop("classical_timeout"), given.pop("kexec_timeout")
    spec = deployment_spec.build(deployment_spec.Options(**given), session)
    count = len(node_names.parse(spec.nodes, "-m"))
    if classical:
        seconds = expressions.seconds(classical, nodes=count, option="--reboot-classical-timeout")
        spec.first_check_timeout.FromNanoseconds(int(seconds * 1e9))
        spec.last_check_timeout.CopyFrom(spec.first_check_timeout)
    kexec_seconds = expressions.seconds(kexec, nodes=count, option="--reboot-kexec-timeout") if kexec else None
    if not (no_kexec or no_table or kexec_seconds):
        return spec
    request = deployer_service_pb2.PlanDeploymentRequest(spec=spec)
    plan = session.deployer.call(session.deployer.deployments.PlanDeployment, request)
    if no_table and any(step.step == PARTITION_STEP for node in plan.nodes for step in node.steps):
        raise UsageFailure(
            "the profile of the cluster has the partition table written at each deployment",
            advice="An administrator changes it: partition_on_deploy in the profile.",
        )
    by_kexec = plan.boot_method == deployment_pb2.BOOT_METHOD_KEXEC
    if by_kexec and no_kexec:
        spec.boot_method = deployment_pb2.BOOT_METHOD_NETWORK
    elif by_kexec and kexec_seconds:
        spec.last_check_timeout.FromNanoseconds(int(kexec_seconds * 1e9))
    return spec
