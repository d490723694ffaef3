"""Rights as messages."""

from kadeploy.inventory.v1 import right_pb2
from kadeploy_inventory.domain.right import Right
from kadeploy_inventory.rpc.wire_values import write_time


def right_to_message(right: Right) -> right_pb2.Right:
    """Returns the message of a right."""
    return right_pb2.Right(
        user=right.user,
        node=right.node,
        partition=right.partition,
        expire_time=write_time(right.expire_time),
    )
