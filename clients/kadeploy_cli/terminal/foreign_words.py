"""Words of Kadeploy 2 and 3 that a classic command does not have, and what to type instead; see `ClassicCommand`."""

from collections.abc import Mapping

_VLAN = "no command changes VLANs: nodes are deployed in the network that they are in"
_PROFILE = "what a node boots is an entry: --kernel-arguments TEXT changes one deployment, `ka boot set` one node"

DEPLOY: Mapping[str, str] = {
    "-c": "the partition that is deployed is the one that boots: -p PARTITION",
    "--boot-partition": "the partition that is deployed is the one that boots: -p PARTITION",
    "-w": _PROFILE,
    "--set-pxe-profile": _PROFILE,
    "--set-pxe-pattern": _PROFILE,
    "-x": _PROFILE,
    "--upload-pxe-files": _PROFILE,
    "--vlan": _VLAN,
    "--no-kexec": "--boot-method network, grub or chainload says how the new system boots",
    "--disable-bootloader-install": "--boot-method network boots the kernel without a loader on the disk",
    "--disable-disk-partitioning": "nothing is partitioned without --partition-disk",
    "--reboot-classical-timeout": "--timeout-last SECONDS is how long the new system may take, --timeout-first the "
    "deployment environment",
    "--reboot-kexec-timeout": "--timeout-last SECONDS is how long the new system may take",
    "--force-steps": "the cluster's profile has the timeouts and retries of steps; --timeout-first, --timeout-last and "
    "--boot-method change one deployment",
    "--custom-steps": "a post-install archive of the environment runs your own commands on the nodes",
    "--set-custom-operations": "a post-install archive of the environment runs your own commands on the nodes",
    "--breakpoint": "`kareboot -d` leaves nodes in the deployment environment",
    "--force": "`ka deployment cancel ID` ends the deployment that has the nodes; --busy wait waits for it",
    "--ignore-nodes-deploying": "`ka deployment cancel ID` ends the deployment that has the nodes; --busy wait waits",
    "--verbose-level": "--verbose says more when something goes wrong; kadeploy3 takes -V LEVEL",
    "-z": "nodes of several clusters are deployed at once: leave it out",
    "--lpf": "the inventory has the partitions of the disk: `ka node update`, then --partition-disk",
    "--loadpartitionfile": "the inventory has the partitions of the disk: `ka node update`, then --partition-disk",
    "--hook": "the site's hooks run always",
    "--no-hook": "the site's hooks run always",
    "--secure": "every call is encrypted: leave it out",
    "--no-secure": "every call is encrypted: leave it out",
}
DEPLOY_ELSEWHERE: Mapping[str, str] = {
    "-u": "-u deploys from the running system; the owner of the environment is -l USER, or --env-user USER",
    "-F": "-F boots the new system by kexec",
    "-d": "-d names the disk; Kadeploy 3's -d is --verbose here",
}

REBOOT: Mapping[str, str] = {
    "--op-level": "the level is --soft (-s), --hard (-h) or --very-hard",
    "-u": "the owner of the environment is -l USER",
    "--env-user": "the owner of the environment is -l USER",
    "-b": "the partition names the disk, too: -p sda3",
    "--block-device": "the partition names the disk, too: -p sda3",
    "--vlan": _VLAN,
    "-w": _PROFILE,
    "--set-pxe-profile": _PROFILE,
    "--set-pxe-pattern": _PROFILE,
    "-x": _PROFILE,
    "--upload-pxe-files": _PROFILE,
    "-c": "nothing is destroyed by a reboot: leave it out",
    "--check-destructive-tag": "nothing is destroyed by a reboot: leave it out",
    "-v": "--verbose says more when something goes wrong",
}
REBOOT_ELSEWHERE: Mapping[str, str] = {
    "-n": "-n writes the boot files and does not reboot; the list of the nodes that failed is --output-ko-nodes FILE",
    "-h": "-h resets at once",
    "-s": "-s logs in and reboots; no program is run at the end",
}

_ENCRYPTED = "every call is encrypted: leave it out"
ENVIRONMENTS: Mapping[str, str] = {"--secure": _ENCRYPTED, "--no-secure": _ENCRYPTED}
_CONSOLES = "a console has one user at a time: kaconsole -m NODE says who has it"
NODES: Mapping[str, str] = {"-c": _CONSOLES, "--get-consoles-status": _CONSOLES}
STATISTICS: Mapping[str, str] = {
    "-z": "-m NODES chooses nodes",
    "--cluster": "-m NODES chooses nodes",
}

POWER: Mapping[str, str] = {
    "--op-level": "the level is -l soft, -l hard or -l very-hard",
}
