"""From the lines of a description to the disk that the inventory stores."""

from kadeploy.inventory.v1 import node_pb2
from kadeploy_cli.descriptions import partition_rules
from kadeploy_cli.descriptions.nodes_file import FIRST_LOGICAL, MEBIBYTE, NodesFile, PartitionLine
from kadeploy_cli.descriptions.partition_rules import Declared
from kadeploy_cli.descriptions.text import DescriptionFailure, Line

LINUX = 0x83
SWAP = 0x82
EXTENDED = 0x05
PRIMARY_NUMBERS = range(1, FIRST_LOGICAL)


def disk(description: NodesFile, source: str, *, gpt: bool) -> tuple[node_pb2.Disk, list[str]]:
    """Returns the disk, and a sentence for everything that it has and the description does not say."""
    lines, notices = list(description.partitions), list[str]()
    if not gpt:
        lines, notices = _with_extended(lines, source)
    table = node_pb2.PARTITION_TABLE_GPT if gpt else node_pb2.PARTITION_TABLE_MBR
    declared = [
        Declared(
            partition=partition(line.number, line.size_bytes, line.environment, gpt=gpt),
            failure=Line(source=source, number=line.line, text="").failure,
        )
        for line in lines
    ]
    partition_rules.check(declared, disk_bytes=description.disk_size_bytes, gpt=gpt)
    built = node_pb2.Disk(
        device=description.device,
        identity=description.identity,
        size_bytes=description.disk_size_bytes,
        partition_table=table,
        partitions=[each.partition for each in declared],
    )
    return built, notices


def _with_extended(lines: list[PartitionLine], source: str) -> tuple[list[PartitionLine], list[str]]:
    """Adds the extended partition that logical ones live in, which the classic files never named."""
    logical = [line for line in lines if line.number >= FIRST_LOGICAL]
    if not logical or any(line.environment == "extended" for line in lines):
        return lines, []
    taken = {line.number for line in lines}
    free = [number for number in PRIMARY_NUMBERS if number not in taken]
    if not free:
        raise DescriptionFailure(
            source,
            0,
            f"partition {logical[0].number} is a logical one, but the numbers 1 to 4 are all taken and none "
            'is the extended partition that would hold it ("4 SIZE extended")',
        )
    # Each logical partition is preceded by its own table, for which one mebibyte is set aside.
    size = sum(line.size_bytes + MEBIBYTE for line in logical)
    extended = PartitionLine(number=free[0], size_bytes=size, environment="extended")
    notice = f"partition {free[0]} was added: the extended one that holds the logical ones"
    return sorted([*lines, extended], key=lambda line: line.number), [notice]


def partition(number: int, size_bytes: int, environment: str, *, gpt: bool) -> node_pb2.Partition:
    """Returns the partition of one line, whose role the classic word for its environment tells."""
    built = node_pb2.Partition(
        number=number,
        size_bytes=size_bytes,
        type=node_pb2.PARTITION_TYPE_PRIMARY,
        type_id=LINUX,
        role=node_pb2.PARTITION_ROLE_DEPLOY,
        environment=environment,
    )
    if not gpt and number >= FIRST_LOGICAL:
        built.type = node_pb2.PARTITION_TYPE_LOGICAL
    if environment == "swap":
        built.role, built.type_id = node_pb2.PARTITION_ROLE_SWAP, SWAP
    elif environment == "tmp":
        built.role = node_pb2.PARTITION_ROLE_TMP
    elif environment == "extended":
        built.type, built.type_id = node_pb2.PARTITION_TYPE_EXTENDED, EXTENDED
        built.role = node_pb2.PARTITION_ROLE_UNSPECIFIED
        built.environment = ""
    return built
