"""From the options of kadeploy to what is wanted: target, keys, and how long to wait."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration

from kadeploy.deployer.v1 import deployment_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.deployments.public_keys import read_keys
from kadeploy_cli.descriptions.text import decode
from kadeploy_cli.environments import describing, uploading
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.failures import UsageFailure
from kadeploy_nodeset import NodeSet

PARTITION = re.compile(r"(?:/dev/)?(?P<device>(?:nvme\d+n\d+|mmcblk\d+|c\d+d\d+)(?=p)|[a-z]+)?p?(?P<number>\d{1,3})")
DEVICE = re.compile(r"(?:/dev/)?([a-z][a-z0-9]*)")
CONTROLLER = re.compile(r"^(/dev/)?(cciss|ida|rd|mapper)/")
"""Folders of device files, which are no part of a disk's name: /dev/cciss/c0d0 is the disk c0d0."""
BUSY_POLICIES = {
    "exclude": deployment_pb2.BUSY_POLICY_EXCLUDE,
    "fail": deployment_pb2.BUSY_POLICY_FAIL,
    "wait": deployment_pb2.BUSY_POLICY_WAIT,
}
BOOT_METHODS = {
    "network": deployment_pb2.BOOT_METHOD_NETWORK,
    "grub": deployment_pb2.BOOT_METHOD_GRUB,
    "chainload": deployment_pb2.BOOT_METHOD_CHAINLOAD,
    "kexec": deployment_pb2.BOOT_METHOD_KEXEC,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options that say what is wanted, as they were typed."""

    environment: str | None = None
    bare_environment: str | None = None
    environment_file: str | None = None
    version: int | None = None
    owner: str = ""
    machines: Sequence[str] = ()
    node_file: str | None = None
    partition: str | None = None
    device: str | None = None
    write_partition_table: bool = False
    key_files: Sequence[str] = ()
    reformat_tmp: str = ""
    boot_method: str | None = None
    kexec: bool = False
    grub: bool = False
    use_production_system: bool = False
    busy: str = "exclude"
    wait_timeout: float | None = None
    first_check_timeout: float | None = None
    last_check_timeout: float | None = None
    kernel_arguments: str = ""
    user: str = ""
    whole_disk: bool = False
    cloud_init: str | None = None
    cloud_init_meta_data: str | None = None
    cloud_init_network: str | None = None


def build(options: Options, session: Session | None = None) -> deployment_pb2.DeploymentSpec:
    """Returns what the options ask for, or says which of them cannot be accepted.

    `session`: brings the files of a described environment to the deployer where it cannot read them; None: they stay.
    """
    if options.wait_timeout is None and options.busy == "wait":
        raise UsageFailure("--busy wait needs --wait-timeout SECONDS", advice="So that the wait has an end.")
    device, number = target(options.partition, options.device)
    spec = deployment_pb2.DeploymentSpec(
        nodes=str(_nodes(options)),
        environment_name=environment_name(options),
        environment_owner=options.owner,
        device=device,
        partition=number,
        busy_policy=BUSY_POLICIES[options.busy],
        wait_timeout=_duration(options.wait_timeout),
        write_partition_table=options.write_partition_table,
        reformat_tmp=options.reformat_tmp,
        boot_method=boot_method(
            {
                "--boot-method": options.boot_method,
                "-F": "kexec" if options.kexec else None,
                "--grub": "grub" if options.grub else None,
            }
        ),
        use_production_system=options.use_production_system,
        authorized_keys=list(dict.fromkeys(key for source in options.key_files for key in read_keys(source))),
        kernel_arguments=options.kernel_arguments,
        first_check_timeout=_duration(options.first_check_timeout),
        last_check_timeout=_duration(options.last_check_timeout),
        user=options.user,
        whole_disk=options.whole_disk,
    )
    if options.version is not None:
        spec.environment_version = options.version
    seed = cloud_init_seed(options)
    if seed is not None:
        spec.cloud_init.CopyFrom(seed)
    if options.environment_file is not None:
        environment = describing.described(file=options.environment_file, options={}, owner="")
        if session is not None:
            environment.owner = options.user
            uploading.bring_files(session, environment)
            environment.owner = ""
        spec.described_environment.CopyFrom(environment)
    return spec


def _nodes(options: Options) -> NodeSet:
    """Returns the nodes that are named, or else those of the job in which the command runs."""
    nodes = node_names.from_options(options.machines, options.node_file)
    if nodes:
        return nodes
    if of_job := node_names.of_job():
        output.say(f"no node is named: those of the job are taken, {of_job}")
        return of_job
    return node_names.required((), None)


def cloud_init_seed(options: Options) -> deployment_pb2.CloudInitSeed | None:
    """Returns what cloud-init is to read, None where no option says it."""
    named = (options.cloud_init, options.cloud_init_meta_data, options.cloud_init_network)
    if not any(named):
        return None
    user_data, meta_data, network = (_text(file) if file else "" for file in named)
    return deployment_pb2.CloudInitSeed(user_data=user_data, meta_data=meta_data, network_config=network)


def _text(file: str) -> str:
    text = decode(node_names.read_file(file), file)
    if not text.strip():
        raise UsageFailure(f"{file} is empty")
    return text


def environment_name(options: Options) -> str:
    """Returns the name of the recorded environment, empty where a description stands for it."""
    said = {
        "-e": options.environment,
        "NAME": options.bare_environment,
        "-a": options.environment_file,
    }
    given = [option for option, word in said.items() if word is not None]
    if not given:
        advice = "Name it with -e NAME, or its description with -a FILE; `kaenv -l` lists those that are recorded."
        raise UsageFailure("no environment is named", advice=advice)
    if len(given) > 1:
        raise UsageFailure(f"{' and '.join(given)} each name an environment: one is deployed")
    if options.environment_file is None:
        return options.environment or options.bare_environment or ""
    if options.version is not None or options.owner:
        raise UsageFailure("the description of -a says version and owner: -l and --env-version are for recorded ones")
    return ""


def boot_method(said: Mapping[str, str | None]) -> "deployment_pb2.BootMethod.ValueType":
    """Returns how a system is to be booted, which several options may say; unspecified when none does."""
    words = {option: word for option, word in said.items() if word}
    if len(set(words.values())) > 1:
        raise UsageFailure(f"{' and '.join(words)} say different things: a system boots in one way")
    return BOOT_METHODS[next(iter(words.values()))] if words else deployment_pb2.BOOT_METHOD_UNSPECIFIED


def target(partition: str | None, device: str | None) -> tuple[str, int]:
    """Returns device and number of the target from "3", "vda3" or "nvme0n1p3"; "" and 0 are the cluster's defaults."""
    chosen = ""
    if device:
        named = DEVICE.fullmatch(CONTROLLER.sub("", device))
        if not named:
            raise UsageFailure(f"-d {device!r} is not a device such as sda")
        chosen = named[1]
    if not partition:
        return chosen, 0
    found = PARTITION.fullmatch(CONTROLLER.sub("", partition))
    if not found or int(found["number"]) == 0:
        raise UsageFailure(f"-p {partition!r} is not a partition such as 3, sda3 or nvme0n1p3")
    of_partition = found["device"] or ""
    if of_partition and chosen and of_partition != chosen:
        raise UsageFailure(f"-p {partition} is not on -d {chosen}")
    return chosen or of_partition, int(found["number"])


def _duration(seconds: float | None) -> Duration | None:
    if seconds is None:
        return None
    duration = Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration
