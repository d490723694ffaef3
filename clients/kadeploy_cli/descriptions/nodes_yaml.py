"""The description of nodes as a YAML file, for those who start today. docs/commands.md describes every key.

What stands at the top is said of all nodes, what stands at an entry of `nodes` of that entry alone. An entry may name
many nodes (`node-[1-16]`), with as many addresses in the same order.
"""

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address

from kadeploy.inventory.v1 import node_pb2
from kadeploy_cli.descriptions import cluster_profile, counted_words, partition_rules, yaml_text
from kadeploy_cli.descriptions.described_nodes import DescribedNodes, Position
from kadeploy_cli.descriptions.disk_identity import NamedDisk, plain_name, read_device, read_match
from kadeploy_cli.descriptions.nodes_file import MAC_ADDRESS, MAXIMUM_NAME, NAME
from kadeploy_cli.descriptions.partition_rules import Declared
from kadeploy_cli.descriptions.text import shown
from kadeploy_cli.descriptions.yaml_text import Place

SHARED = ("cluster", "firmware", "labels", "commands", "disks")
KEYS = ("name", "mac", "ip", "bmc", "uuid", *SHARED)
# As the inventory calls them.
SENT_AS = {"mac": "mac_address", "ip": "ip_address", "bmc": "bmc_address"}
PARTITION_KEYS = ("number", "size", "role", "type", "type_id", "label", "environment")
FIRMWARES = {"bios": node_pb2.FIRMWARE_BIOS, "uefi": node_pb2.FIRMWARE_UEFI}
TABLES = {"mbr": node_pb2.PARTITION_TABLE_MBR, "gpt": node_pb2.PARTITION_TABLE_GPT}
TYPES = {
    "primary": node_pb2.PARTITION_TYPE_PRIMARY,
    "extended": node_pb2.PARTITION_TYPE_EXTENDED,
    "logical": node_pb2.PARTITION_TYPE_LOGICAL,
}
ROLES = {
    "deploy": node_pb2.PARTITION_ROLE_DEPLOY,
    "swap": node_pb2.PARTITION_ROLE_SWAP,
    "tmp": node_pb2.PARTITION_ROLE_TMP,
    "production": node_pb2.PARTITION_ROLE_PRODUCTION,
    "prod": node_pb2.PARTITION_ROLE_PRODUCTION,
}
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SIZE = re.compile(r"([0-9]{1,19})\s*(B|MB|MiB|GiB|TiB)?")
UNITS = {None: 1 << 20, "B": 1, "MB": 1 << 20, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
MAXIMUM_BYTES = 1 << 60
MAXIMUM_PARTITIONS = 128
LINUX, SWAP, EXTENDED_ID = 0x83, 0x82, 0x05


def parse(text: str, source: str, *, cluster: str = "") -> DescribedNodes:
    """Reads a description, or raises DescriptionFailure at the first line that is wrong.

    Args:
        text: the file's content.
        source: how errors call it.
        cluster: of the nodes of which the file says none.
    """
    root = yaml_text.parse(text, source)
    fields = root.fields((*SHARED, "nodes"))
    if "nodes" not in fields:
        raise root.failure("nodes is missing: a list of nodes with name, mac and ip")
    shared = {key: value for key, value in fields.items() if key != "nodes"}
    nodes: list[node_pb2.Node] = []
    positions: list[Mapping[str, Position]] = []
    seen: dict[str, int] = {}
    entries = fields["nodes"].items()
    if not entries:
        raise fields["nodes"].failure("at least one node is expected")
    # Said of all: read once, and wrong lines are told even where every entry says otherwise.
    default = _described(shared, node_pb2.Node(cluster=cluster, firmware=node_pb2.FIRMWARE_BIOS))
    for entry in entries:
        standing = _positions(shared) | {"": _position(entry)} | _positions(entry.fields(KEYS))
        for node in _entry(entry, default):
            for word in (node.name, node.mac_address, node.ip_address, node.uuid):
                if word and word in seen:
                    raise entry.failure(f"{word} stands on line {seen[word]} already")
                seen[word] = entry.line
            nodes.append(node)
            positions.append(standing)
    return DescribedNodes(nodes=nodes, positions=positions)


def _positions(fields: Mapping[str, Place]) -> dict[str, Position]:
    return {SENT_AS.get(key, key): _position(place) for key, place in fields.items()}


def _position(place: Place) -> Position:
    return Position(source=place.source, line=place.line)


def parse_disks(text: str, source: str) -> list[node_pb2.Disk]:
    """Reads a file that has `disks` alone."""
    root = yaml_text.parse(text, source)
    fields = root.fields(("disks",))
    if "disks" not in fields:
        raise root.failure("disks is missing: a list of disks with device, size and partitions")
    return _disks(fields["disks"])


def _entry(entry: Place, default: node_pb2.Node) -> list[node_pb2.Node]:
    fields = entry.fields(KEYS)
    for needed in ("name", "mac", "ip"):
        if needed not in fields:
            raise entry.failure(f"{needed} is missing: a node has name, mac and ip")
    described = _described(fields, default)
    names = [_name(fields["name"], word) for word in counted_words.read(fields["name"])]
    macs = [_mac(fields["mac"], word) for word in counted_words.read(fields["mac"], hexadecimal=True)]
    addresses = [_ip(fields["ip"], word) for word in counted_words.read(fields["ip"])]
    controllers = _controllers(fields.get("bmc"), names)
    uuids = [_uuid(fields["uuid"], word) for word in counted_words.read(fields["uuid"])] if "uuid" in fields else []
    for key, words in (("mac", macs), ("ip", addresses), *((("uuid", uuids),) if uuids else ())):
        if len(words) != len(names):
            raise fields[key].failure(_wanted(len(names), len(words)))
    nodes = []
    unknown = [""] * len(names)
    for name, mac, address, controller, uuid in zip(names, macs, addresses, controllers, uuids or unknown, strict=True):
        node = node_pb2.Node()
        node.CopyFrom(described)
        node.name, node.mac_address, node.ip_address, node.bmc_address = name, mac, address, controller
        node.uuid = uuid
        nodes.append(node)
    return nodes


def _controllers(place: Place | None, names: Sequence[str]) -> list[str]:
    if place is None:
        return [""] * len(names)
    words = counted_words.read(place)
    if len(words) == 1 and "{name}" in words[0]:
        return [words[0].replace("{name}", name) for name in names]
    if len(words) != len(names):
        raise place.failure(f'{_wanted(len(names), len(words))}, or "{{name}}" in it for the node\'s name')
    return words


def _wanted(names: int, found: int) -> str:
    return f"{names} addresses are expected, as many as names, not {found} (a range such as 10.0.0.[11-26] or a list)"


def _described(fields: Mapping[str, Place], default: node_pb2.Node) -> node_pb2.Node:
    """Returns what is said of a node besides its name and addresses, the default where nothing is."""
    node = node_pb2.Node()
    node.CopyFrom(default)
    if "cluster" in fields:
        node.cluster = fields["cluster"].text()
    if "firmware" in fields:
        node.firmware = FIRMWARES[fields["firmware"].choice(tuple(FIRMWARES))]
    if "labels" in fields:
        node.labels.update({key: value.text() for key, value in fields["labels"].entries()})
    if "commands" in fields:
        node.commands.CopyFrom(cluster_profile.commands(fields["commands"]))
    if "disks" in fields:
        del node.disks[:]
        node.disks.extend(_disks(fields["disks"]))
    return node


def _name(place: Place, word: str) -> str:
    name = word.lower()
    if len(name) > MAXIMUM_NAME or not NAME.fullmatch(name):
        raise place.failure(f"a host name is expected, not {shown(word)}")
    return name


def _mac(place: Place, word: str) -> str:
    address = word.lower().replace("-", ":")
    if not MAC_ADDRESS.fullmatch(address):
        raise place.failure(f"a MAC address is expected, such as 00:02:73:49:9c:8d, not {shown(word)}")
    return address


def _ip(place: Place, word: str) -> str:
    try:
        return str(IPv4Address(word))
    except ValueError:
        raise place.failure(f"an IPv4 address is expected, such as 192.168.10.1, not {shown(word)}") from None


def _uuid(place: Place, word: str) -> str:
    if not UUID.fullmatch(word.lower()):
        example = "b8945908-d6a6-41a9-611d-74a6ab80b83d"
        raise place.failure(f"a UUID is expected, such as {example} (dmidecode -s system-uuid), not {shown(word)}")
    return word.lower()


def _disks(place: Place) -> list[node_pb2.Disk]:
    disks: list[node_pb2.Disk] = []
    for entry in place.items():
        disk = _disk(entry, len(disks))
        if disk.device in {earlier.device for earlier in disks}:
            raise entry.failure(f"{disk.device} stands twice")
        disks.append(disk)
    return disks


def _disk(entry: Place, number: int) -> node_pb2.Disk:
    fields = entry.fields(("device", "match", "size", "table", "partitions"))
    if "size" not in fields:
        raise entry.failure("size is missing: a disk has device, size and partitions")
    if "device" not in fields and "match" not in fields:
        raise entry.failure("device is missing: a disk has device or match, size and partitions")
    named = NamedDisk(name=plain_name(number))
    if "device" in fields:
        named = read_device(fields["device"].text(), place=number, failure=fields["device"].failure)
    identity = named.identity or node_pb2.DiskIdentity()
    if "match" in fields:
        identity.MergeFrom(read_match(fields["match"], _size))
    table = TABLES[fields["table"].choice(tuple(TABLES))] if "table" in fields else node_pb2.PARTITION_TABLE_MBR
    gpt = table == node_pb2.PARTITION_TABLE_GPT
    size = _size(fields["size"])
    places = fields["partitions"].items() if "partitions" in fields else []
    if len(places) > MAXIMUM_PARTITIONS:
        raise fields["partitions"].failure(f"a disk has at most {MAXIMUM_PARTITIONS} partitions")
    declared = [Declared(partition=_partition(each, gpt=gpt), failure=each.failure) for each in places]
    partition_rules.check(declared, disk_bytes=size, gpt=gpt)
    return node_pb2.Disk(
        device=named.name,
        identity=identity if identity.ListFields() else None,
        size_bytes=size,
        partition_table=table,
        partitions=sorted((each.partition for each in declared), key=lambda partition: partition.number),
    )


def _partition(entry: Place, *, gpt: bool) -> node_pb2.Partition:
    fields = entry.fields(PARTITION_KEYS)
    for needed in ("number", "size"):
        if needed not in fields:
            raise entry.failure(f"{needed} is missing: a partition has number, size and perhaps role and label")
    number = fields["number"].number(1, MAXIMUM_PARTITIONS)
    logical = not gpt and number >= partition_rules.FIRST_LOGICAL
    kind = TYPES["logical" if logical else "primary"]
    if "type" in fields:
        kind = TYPES[fields["type"].choice(tuple(TYPES))]
    partition = node_pb2.Partition(number=number, size_bytes=_size(fields["size"]), type=kind)
    if "label" in fields:
        partition.label = fields["label"].text()
    if kind == node_pb2.PARTITION_TYPE_EXTENDED:
        for key in ("role", "environment"):
            if key in fields:
                raise fields[key].failure("an extended partition holds others and nothing of its own")
        partition.type_id = EXTENDED_ID
    else:
        said = fields["environment"].text() if "environment" in fields else ""
        implied = said if said in {"swap", "tmp"} else "deploy"
        role = fields["role"].choice(tuple(ROLES)) if "role" in fields else implied
        partition.role = ROLES[role]
        partition.environment = said or (role if role in {"swap", "tmp"} else "empty")
        partition.type_id = SWAP if role == "swap" else LINUX
    if "type_id" in fields:
        partition.type_id = fields["type_id"].number(1, 0xFF)
    return partition


def _size(place: Place) -> int:
    found = SIZE.fullmatch(place.text().strip())
    size = int(found[1]) * UNITS[found[2]] if found else 0
    if not 0 < size <= MAXIMUM_BYTES:
        raise place.failure(
            f"a size is expected, such as 20000 (MB of 1024 x 1024 bytes) or 20 GiB, not {shown(place.text())}"
        )
    return size
