"""Rights: who may deploy what where."""

from collections.abc import Sequence
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from kadeploy.inventory.v1 import inventory_service_pb2, right_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import Failure, UsageFailure
from kadeploy_cli.terminal.plain import plain

COLUMNS = ("USER", "NODE", "PARTITION", "UNTIL")
EVERYTHING = "*"


def node_words(machines: Sequence[str], node_file: str | None) -> str:
    """Returns the nodes of a right: a node set, "*" for all, empty when none is named."""
    if EVERYTHING in machines:
        if len(machines) > 1 or node_file is not None:
            raise UsageFailure('-m "*" stands for all nodes: no others are named beside it')
        return EVERYTHING
    return str(node_names.from_options(machines, node_file))


def moment(text: str | None) -> Timestamp | None:
    """Reads a time such as 2030-01-31 or 2030-01-31T18:00, in the user's own zone unless it names one."""
    if text is None:
        return None
    try:
        chosen = datetime.fromisoformat(text).astimezone()
        stamp = Timestamp()
        stamp.FromDatetime(chosen)
    except (ValueError, OverflowError, OSError):
        raise UsageFailure(f"--until: {text!r} is not a time such as 2030-01-31T18:00") from None
    return stamp


def partition_words(parts: Sequence[str]) -> list[str]:
    """Returns partitions as rights name them: without "/dev/"."""
    return [part.removeprefix("/dev/") for part in parts]


def grant(
    session: Session,
    *,
    users: Sequence[str],
    nodes: str,
    parts: Sequence[str],
    until: Timestamp | None,
    user_option: str = "-l",
) -> ExitCode:
    """Grants every user the partitions on the nodes. `user_option`: how the command names users."""
    if not users or not nodes:
        raise UsageFailure(
            "a right needs a user and a node", advice=f'Name them with {user_option} USER and -m NODES ("*" for all).'
        )
    inventory = session.inventory
    request = inventory_service_pb2.GrantRightsRequest(
        users=users, nodes=nodes, partitions=partition_words(parts) or [EVERYTHING], expire_time=until
    )
    answer = inventory.call(inventory.rights.GrantRights, request)
    return _show(session, "granted", list(answer.rights))


def revoke(
    session: Session, *, users: Sequence[str], nodes: str, parts: Sequence[str], user_option: str = "-l"
) -> ExitCode:
    """Takes away every right that fits; what is not named fits all, but something must be named."""
    if not (users or nodes or parts):
        raise UsageFailure(
            "this would take away every right there is",
            advice=f"Name a user ({user_option}), nodes (-m) or partitions (-p).",
        )
    inventory = session.inventory
    request = inventory_service_pb2.RevokeRightsRequest(users=users, nodes=nodes, partitions=partition_words(parts))
    answer = inventory.call(inventory.rights.RevokeRights, request)
    return _show(session, "revoked", list(answer.rights))


def clear_others(session: Session, *, user: str, nodes: str, overwrite: bool) -> None:
    """Takes away what others have on exactly these nodes when that is wanted, else refuses when there is something."""
    if nodes == EVERYTHING:
        return
    found = fetch(session, user="", nodes=nodes)
    others = [right for right in found if right.user not in {user, EVERYTHING} and right.node != EVERYTHING]
    if others and not overwrite:
        holders = ", ".join(sorted({f"{right.user} on {right.node}" for right in others}))
        raise Failure(
            f"others have rights there: {holders}",
            exit_code=ExitCode.REFUSED,
            advice="-o takes their rights on these nodes away; kaadduser grants beside them.",
        )
    if others:
        request = inventory_service_pb2.RevokeRightsRequest(users=sorted({right.user for right in others}), nodes=nodes)
        session.inventory.call(session.inventory.rights.RevokeRights, request)


def fetch(session: Session, *, user: str, nodes: str) -> list[right_pb2.Right]:
    """Returns the rights of a user, on a node set, or all."""
    inventory = session.inventory
    wanted = inventory_service_pb2.RightFilter(user=user, nodes=nodes)
    request = inventory_service_pb2.ListRightsRequest(filter=wanted)
    return list(inventory.pages(inventory.rights.ListRights, request, lambda page: page.rights))


def show_list(session: Session, *, user: str, nodes: str) -> ExitCode:
    """Prints the rights of a user, on a node set, or all."""
    return _show(session, "", fetch(session, user=user, nodes=nodes))


def _show(session: Session, done: str, found: list[right_pb2.Right]) -> ExitCode:
    if done:
        output.say(f"{len(found)} {'right' if len(found) == 1 else 'rights'} {done}")
    if found or not done or session.form is output.Format.JSON:
        output.show(
            session.form,
            columns=COLUMNS,
            rows=[
                (right.user, right.node, right.partition, output.local_time(right.expire_time) or "-")
                for right in found
            ],
            data=[plain(right) for right in found],
            names=[f"{right.user}:{right.node}:{right.partition}" for right in found],
        )
    return ExitCode.OK
