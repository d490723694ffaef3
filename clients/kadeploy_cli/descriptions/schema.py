"""JSON schemas of the YAML files that describe nodes, clusters and environments, for editors and for generators.

A schema says which keys there are, what each is for and of which kind its value is. The readers check more: that
addresses are as many as names, that partitions fit a disk, that a file exists.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from kadeploy_cli.descriptions import cluster_profile, environment_words, nodes_yaml, power_driver
from kadeploy_cli.descriptions.environment_file import MAXIMUM_MEBIBYTES, MAXIMUM_VERSION, MEBIBYTE, VISIBILITIES

DIALECT = "https://json-schema.org/draft/2020-12/schema"
LARGEST_PARTITION = 128
LARGEST_BYTE = 0xFF

Schema = dict[str, Any]

# Words may look like numbers to a reader of YAML: 52:54:00:12:34:01, 20, yes.
SCALAR = ["string", "number", "boolean"]
NOTHING = "null"


def nodes() -> Schema:
    """Returns the schema of `kaaddnode FILE.yaml`."""
    entry = _shared() | {
        "name": _words("The node's name, or one range in brackets for many: node-[01-16]."),
        "mac": _words("The MAC address of the card that it boots from; as many as names: 52:54:00:12:34:[01-10]."),
        "ip": _words("Its IPv4 address; as many as names: 10.77.0.[11-26]."),
        "bmc": _words('The address of its BMC; as many as names, or "{name}-bmc". Default: NAME-bmc.'),
        "uuid": _words("What `dmidecode -s system-uuid` says; as many as names."),
    }
    described = _object("A node, or several of one kind.", entry, needed=("name", "mac", "ip"))
    top = _shared() | {"nodes": _list("The nodes.", described, least=1)}
    return _whole("Nodes of Kadeploy", top, needed=("nodes",))


def disks() -> Schema:
    """Returns the schema of `ka node update --disks FILE`."""
    return _whole("Disks of a node of Kadeploy", {"disks": _disks()}, needed=("disks",))


def cluster() -> Schema:
    """Returns the schema of `ka cluster create --profile FILE`."""
    policy = _object(
        "",
        {"timeout": _seconds("For one try."), "retries": _whole_number("Further tries.", 0, 100)},
    )
    window = _object(
        "How many nodes are rebooted at once.",
        {"size": _whole_number("Nodes at once.", 1, 100_000), "pause": _seconds("Between two of them.")},
    )
    default_environment = _object(
        "What a failed node boots; without it, its local disk.",
        {
            "name": _text("The environment."),
            "version": _whole_number("Default: the latest.", 1, MAXIMUM_VERSION),
            "owner": _text("Whose it is. Default: any public one."),
            "device": _text("The disk that it is on."),
            "partition": _whole_number("The partition that it is on.", 1, LARGEST_PARTITION),
        },
        needed=("name",),
    )
    keys = {
        "first_check_timeout": _seconds("To reach the deployment environment, for each rung of the ladder."),
        "last_check_timeout": _seconds("To reach the new system, for each rung of the ladder."),
        "step_policies": _map("Steps that differ from their defaults, by name.", policy),
        "reboot_window": window,
        "reboot_ladder": _list("What is tried one after the other.", _choice("", cluster_profile.LEVELS)),
        "commands": _commands(),
        "power_group_label": _text("Nodes with the same value of this label share a supply."),
        "group_commands": _list("Which commands act on all of a supply.", _choice("", cluster_profile.COMMANDS)),
        "deployment_kernel_label": _text("The deployment kernel, by its label in bootctl."),
        "deployment_kernel_arguments": _text("Arguments added to the label's own."),
        "kernel_arguments": _text("Arguments of environments that name none."),
        "mkfs_options": _map("Options of mkfs, by file system.", _text("")),
        "preinstall": _object(
            "Run before the target is formatted.",
            {"archive": _text("The archive of the script."), "script": _text("The script in it. Default: init.ash.")},
            needed=("archive",),
        ),
        "default_environment": default_environment,
        "default_device": _text("The disk of a deployment that names none."),
        "default_partition": _whole_number("The partition of a deployment that names none.", 1, LARGEST_PARTITION),
        "partition_on_deploy": _flag("Whether the partition table is written even if nobody asks."),
        "bmc_address": _text("{bmc} of nodes that name none; {name}, {node_short}, {domain} and {cluster} in it."),
        "power": _object(
            "Management controllers, for what commands has no template for.",
            {
                "driver": _choice("Their language.", power_driver.KINDS),
                "user": _text("The account on them."),
                "password_file": _text("A file on the deployer's host with its password."),
                "address": _text('Where one answers; default: "{bmc}".'),
                "cipher_suite": _whole_number("IPMI: ipmitool -C.", 0, LARGEST_BYTE),
                "ca_file": _text("Redfish: the authority that signs their certificates."),
                "accept_any_certificate": _flag("Redfish: whether any certificate will do."),
                "system": _text("Redfish: the path of the system, where there are several."),
            },
            needed=("driver", "user", "password_file"),
        ),
        "boot_method": _choice("How new systems boot.", cluster_profile.BOOT_METHODS),
    }
    return _whole("The profile of a cluster of Kadeploy", {key: _or_nothing(value) for key, value in keys.items()})


def environment() -> Schema:
    """Returns the schema of `karecordenv -fe FILE.yaml`."""
    compression = _choice("How the file is compressed.", environment_words.COMPRESSIONS)
    archive = _object(
        "An archive with a script that is run on each node.",
        {
            "archive": _text("The archive: a path or an address."),
            "compression": compression,
            "script": _text("The script in it, with its arguments."),
        },
        needed=("archive",),
    )
    image = _object(
        "The image.",
        {
            "file": _text("A path, file://, server://, http:// or https://."),
            "kind": _choice("", environment_words.KINDS),
            "compression": compression,
        },
        needed=("file", "kind", "compression"),
    )
    boot = _object(
        "How the system boots.",
        {
            "kernel": _text("The kernel in the image."),
            "initrd": _text("The initrd in the image."),
            "kernel_params": _text("The kernel's arguments."),
            "hypervisor": _text("The hypervisor in the image (os: xen)."),
            "hypervisor_params": _text("The hypervisor's arguments."),
            "block_device": _text("Not offered."),
            "partition": _whole_number("Of an image of a whole disk: where the system is.", 1, LARGEST_PARTITION),
        },
    )
    options = _map("What may be done with it: kexec, trust_previous_env.", {"type": SCALAR})
    keys = {
        "name": _text("The environment's name."),
        "alias": _text("A second name."),
        "arch": _text("Nodes whose label arch says something else are left out."),
        "version": _whole_number("Default: 1.", 1, MAXIMUM_VERSION),
        "description": _text("A word about it."),
        "author": _text("Whom to ask."),
        "visibility": _choice("Who may use it. Default: private.", VISIBILITIES),
        "destructive": _flag("Whether nothing may be deployed from it with -u."),
        "os": _choice("What it is.", environment_words.SYSTEMS),
        "image": image,
        "preinstall": archive | {"description": "In the place of the cluster's."},
        "postinstalls": _list("Run one after the other.", archive),
        "boot": boot,
        "filesystem": _text("The file system into which a tar image is unpacked."),
        "partition_type": _whole_number("The partition's type byte; 0 for an image of a disk.", 0, LARGEST_BYTE),
        "multipart": _flag("Not offered."),
        "custom_variables": _map("What scripts find in their environment.", _text("")),
        "options": options,
        "user": _text("Whose it is. Default: whoever records it."),
        "cluster": _text("The cluster that it is made for. Default: any."),
        "size": _whole_number("The least size of the partition in MB.", 0, MAXIMUM_MEBIBYTES),
        "size_bytes": _whole_number("The same in bytes.", 0, MAXIMUM_MEBIBYTES * MEBIBYTE),
        "optsupport": _text("Flags for the post-install script."),
    }
    empty = ("preinstall", "postinstalls", "boot", "custom_variables", "options")
    keys |= {key: _or_nothing(keys[key]) for key in empty}
    return _whole("An environment of Kadeploy", keys, needed=("name", "os", "image"))


SCHEMAS = {"nodes": nodes, "disks": disks, "cluster": cluster, "environment": environment}


def _shared() -> Schema:
    """Returns what may be said of all nodes and of each."""
    return {
        "cluster": _text("The cluster that it belongs to."),
        "firmware": _choice("Default: bios.", nodes_yaml.FIRMWARES),
        "labels": _map("Words of the site, by key.", _text("")),
        "commands": _commands(),
        "disks": _disks(),
    }


def _disks() -> Schema:
    partition = _object(
        "",
        {
            "number": _whole_number("Its number.", 1, LARGEST_PARTITION),
            "size": _text("20000 (MB of 1024 x 1024 bytes) or 20 GiB."),
            "role": _choice("What it is for. Default: deploy.", nodes_yaml.ROLES),
            "type": _choice("Default: by the number.", nodes_yaml.TYPES),
            "type_id": _whole_number("The type byte. Default: by the role.", 1, LARGEST_BYTE),
            "label": _text("A word for people."),
            "environment": _text("What is installed there."),
        },
        needed=("number", "size"),
    )
    match = _object(
        "Which of the machine's disks it is; all that is given has to hold.",
        {
            "serial": _text("As lsblk -o SERIAL shows it."),
            "wwn": _text("As lsblk -o WWN shows it."),
            "link": _text("Below /dev/disk: by-path/pci-0000:17:00.0-scsi-0:0:0:0."),
            "kernel": _text("The device file: sdb, cciss/c0d0, mapper/mpatha."),
            "size": _text("480103981056 B, or as for the disk; it may differ by 1 %."),
        },
    )
    disk = _object(
        "",
        {
            "device": _text("Its name: sda. Linux calls it so, too, where match says nothing."),
            "match": match,
            "size": _text("80000 (MB of 1024 x 1024 bytes) or 500 GiB."),
            "table": _choice("Default: mbr.", nodes_yaml.TABLES),
            "partitions": _list("Its partitions.", partition),
        },
        needed=("size",),
    )
    return _list("The disks.", disk)


def _commands() -> Schema:
    command = _documented(
        {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": SCALAR}}]},
        "One line, or a list of arguments.",
    )
    templates = dict.fromkeys(cluster_profile.COMMANDS, command)
    return _object("Command templates, run on the deployer's host without a shell.", templates)


def _whole(title: str, keys: Mapping[str, Schema], *, needed: Iterable[str] = ()) -> Schema:
    return {"$schema": DIALECT, "title": title, **_object("", keys, needed=needed)}


def _object(doc: str, keys: Mapping[str, Schema], *, needed: Iterable[str] = ()) -> Schema:
    described = {"type": "object", "properties": dict(keys), "additionalProperties": False, "required": list(needed)}
    return _documented(described, doc)


def _map(doc: str, value: Schema) -> Schema:
    return _documented({"type": "object", "additionalProperties": value}, doc)


def _list(doc: str, item: Schema, *, least: int = 0) -> Schema:
    return _documented({"type": "array", "items": item, "minItems": least}, doc)


def _text(doc: str) -> Schema:
    return _documented({"type": [*SCALAR, NOTHING]}, doc)


def _words(doc: str) -> Schema:
    return _documented({"anyOf": [{"type": SCALAR}, {"type": "array", "items": {"type": SCALAR}}]}, doc)


def _choice(doc: str, words: Iterable[str]) -> Schema:
    return _documented({"enum": list(words)}, doc)


def _flag(doc: str) -> Schema:
    return _documented({"type": "boolean"}, doc)


def _seconds(doc: str) -> Schema:
    return _documented({"type": "number", "minimum": 0, "maximum": 86400}, f"{doc} Seconds.")


def _whole_number(doc: str, least: int, most: int) -> Schema:
    return _documented({"type": "integer", "minimum": least, "maximum": most}, doc)


def _or_nothing(value: Schema) -> Schema:
    """Returns a schema that allows a key with nothing behind it, too."""
    return {"anyOf": [value, {"type": NOTHING}]}


def _documented(schema: Schema, doc: str) -> Schema:
    return {"description": doc, **schema} if doc else schema
