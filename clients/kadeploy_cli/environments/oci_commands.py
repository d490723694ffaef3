"""`kaenv from-oci` and `ka environment from-oci`: an environment made of a container image."""

import platform
from pathlib import Path

import click

from kadeploy.inventory.v1 import environment_pb2
from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.descriptions import environment_writer
from kadeploy_cli.environments import actions as environments
from kadeploy_cli.environments import image_files, oci_image, oci_rootfs, uploading
from kadeploy_cli.environments.oci_rootfs import RootFileSystem
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import UsageFailure

KERNELS = ("vmlinuz", "boot/vmlinuz")
INITRDS = ("initrd.img", "boot/initrd.img", "boot/initramfs.img")


@click.command("from-oci")
@click.argument("image")
@click.option("-n", "--name", required=True, metavar="NAME", help="Of the environment.")
@click.option("--env-version", "version", type=click.IntRange(1), default=1, metavar="N", help="Its version.")
@click.option("--kernel", default="", metavar="PATH", help="The kernel in the image, where it is not found.")
@click.option("--initrd", default="", metavar="PATH", help="The initrd in the image, where it is not found.")
@click.option(
    "--add",
    "added",
    multiple=True,
    metavar="FILE",
    help="A tar archive that is laid over the image: a kernel with its initrd and modules. Repeatable.",
)
@click.option("-p", "--kernel-params", "arguments", default="", metavar="TEXT", help="Arguments of the kernel.")
@click.option("--file-system", default="ext4", show_default=True, metavar="NAME", help="Of the target partition.")
@click.option("-d", "--output-directory", "directory", default=".", metavar="DIR", help="Where the image is put.")
@click.option("--no-record", is_flag=True, help="Make the image and its description, and record nothing.")
@command_options(form=None)
def from_oci(
    session: Session,
    /,
    *,
    image: str,
    name: str,
    version: int,
    kernel: str,
    initrd: str,
    added: tuple[str, ...],
    arguments: str,
    file_system: str,
    directory: str,
    no_record: bool,
) -> None:
    """Makes an environment of a container image: an OCI layout, an archive of docker or podman save, docker://….

    The image needs an init, an ssh server, and a kernel, which --add brings where it has none. Nothing of it is run.
    """
    target = Path(directory).resolve() / f"{name}.tar.zst"
    with oci_image.layers_of(image) as found:
        layers = [*found, *(_existing(file) for file in added)]
        root = oci_rootfs.read(layers)
        boot = _boot(root, kernel, initrd, arguments)
        _check(root)
        oci_rootfs.write(layers, root, target)
    environment = environment_pb2.Environment(
        name=name,
        version=version,
        description=f"made of {image}",
        visibility=environment_pb2.VISIBILITY_PRIVATE,
        operating_system=environment_pb2.OPERATING_SYSTEM_LINUX,
        architecture=platform.machine(),
        image=image_files.image(str(target), target.parent),
        boot=boot,
        file_system=file_system,
    )
    file = target.with_name(f"{name}.yaml")
    file.write_text(environment_writer.to_yaml(environment), encoding="utf-8")
    output.say(f"{target} is made ({output.size(environment.image.size_bytes)}), with its description {file.name}")
    if no_record:
        finish(ExitCode.OK)
    uploading.bring_files(session, environment)
    finish(environments.send(session, environment))


def _existing(file: str) -> Path:
    path = Path(file)
    if not path.is_file():
        raise UsageFailure(f"--add {file}: there is no such file")
    return path


def _boot(root: RootFileSystem, kernel: str, initrd: str, arguments: str) -> environment_pb2.BootSpec:
    """Returns how the system boots: by what was named, else by what is in its usual place."""
    for option, path in (("--kernel", kernel), ("--initrd", initrd)):
        if path and not root.has(path):
            raise UsageFailure(f"{option} {path} is not in the image")
    kernel = kernel or root.first([*KERNELS, *reversed(root.below("boot", "vmlinuz-"))])
    initrds = [*INITRDS, *reversed(root.below("boot", "initrd.img-")), *reversed(root.below("boot", "initramfs-"))]
    initrd = initrd or root.first(initrds)
    if not kernel:
        raise UsageFailure(
            "the image has no kernel, as most container images",
            advice="Install one in it (Debian: linux-image-amd64), or lay one over it, initrd and modules too: --add.",
        )
    return environment_pb2.BootSpec(
        kind=environment_pb2.BOOT_KIND_LINUX,
        kernel_path=f"/{kernel.lstrip('/')}",
        initrd_path=f"/{initrd.lstrip('/')}" if initrd else "",
        kernel_arguments=arguments,
    )


def _check(root: RootFileSystem) -> None:
    """Raises UsageFailure for an image that could not be deployed."""
    if not root.first(oci_rootfs.INITS):
        raise UsageFailure("the image has no init, so its kernel would start nothing", advice="Install systemd in it.")
    if not root.first(oci_rootfs.SERVERS):
        raise UsageFailure(
            "the image has no ssh server, so nothing could prove its system", advice="Install openssh-server in it."
        )
