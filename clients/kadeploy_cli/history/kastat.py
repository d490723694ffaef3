"""kastat: version 3's questions to the history of deployments."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from kadeploy_cli.connection.session import Session, command_options, finish
from kadeploy_cli.history import operation_rows
from kadeploy_cli.history.moments import MOMENT
from kadeploy_cli.history.node_rows import FIELDS, NodeRow, fetch
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.classic_command import ClassicCommand, version_option
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import UsageFailure
from kadeploy_cli.terminal.short_lines import Column, short_lines, without_domains
from kadeploy_cli.terminal.tables import aligned
from kadeploy_nodeset import natural_order

SHORT = (
    Column(name="HOSTNAME", most=18),
    Column(name="USER", most=9),
    Column(name="ENV", most=13),
    Column(name="START", most=16),
    Column(name="SECONDS", most=7),
    Column(name="SUCCESS", most=7),
)
RATES = (Column(name="HOSTNAME", most=40), Column(name="FAILURES", most=12), Column(name="RATE", most=10))
ALL = "all"
INSTEAD = {
    "-c": "-b shows the failure rate of each node, the highest first with --sort -rate",
    "--list-min-failure-rate": "-b shows the failure rate of each node",
}


@click.command(cls=ClassicCommand, instead=INSTEAD)
@click.option(
    "-a",
    "--all",
    "every",
    is_flag=False,
    flag_value=ALL,
    metavar="[RETRIES]",
    help="All fields; with a number, the nodes for which a step was tried again so many times.",
)
@click.option("-d", "--list-all", "list_all", is_flag=True, help="All fields.")
@click.option("-b", "--failure-rate", "rates", is_flag=True, help="How often each node failed.")
@click.option(
    "-F", "--fields", "--field", "fields", multiple=True, metavar="FIELDS", help="These fields, in this order."
)
@click.option(
    "-r", "--min-retries", type=click.IntRange(0), metavar="N", help="Only where a step was tried again N times."
)
@click.option(
    "-s", "--retry-steps", "--step", "steps", multiple=True, metavar="STEPS", help="-r counts these: 1, 2, 3."
)
@click.option(
    "-o", "--operation", type=click.Choice(["deploy", "reboot", "power"]), help="What was done.  [default: deploy]"
)
@click.option("-w", "--workflow-id", "deployment_id", default="", metavar="WID", help="Only this deployment.")
@click.option("-x", "--date-min", "start", type=MOMENT, metavar="DATE", help="Only those begun from this moment on.")
@click.option("-y", "--date-max", "end", type=MOMENT, metavar="DATE", help="Only those begun before this moment.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="At most so many rows.")
@click.option("--sort", "sort", default="", metavar="FIELDS", help="By these fields; -FIELD: the other way.")
@click.option("-m", "--machine", "machines", multiple=True, metavar="NODES", help="Only these nodes. Repeatable.")
@click.option(
    "-f", "--file", "files", multiple=True, metavar="FILE|FIELD", help="A file of nodes, or a field as with -F."
)
@version_option
@command_options("--output")
def kastat(
    session: Session,
    /,
    *,
    deployment_id: str,
    start: datetime | None,
    end: datetime | None,
    machines: tuple[str, ...],
    files: tuple[str, ...],
    **options: Any,
) -> None:
    """Shows what became of each node in each deployment, reboot or power change, one line each, the latest first.

    Fields: wid, user, hostname, step1 to step3, retry_step1 to retry_step3, start, step1_duration to step3_duration,
    env, md5 (the image's SHA-256), success, error.
    """
    if start is not None and end is not None and start >= end:
        raise UsageFailure("-y is not after -x")
    # Earlier releases of version 3 named a field with -f.
    named = [word for word in files if word in FIELDS and not Path(word).exists()]
    node_files = [word for word in files if word not in named]
    if len(node_files) > 1:
        raise UsageFailure("-f names one file of nodes")
    nodes = str(node_names.from_options(machines, node_files[0] if node_files else None))
    wanted = _fields([*options["fields"], *named], every=options["list_all"] or options["every"] == ALL)
    least = _least_retries(options["every"], options["min_retries"])
    steps = _steps(options["steps"])
    if options["operation"] in operation_rows.KINDS:
        kind = options["operation"]
        rows = operation_rows.fetch(
            session.deployer, kind=kind, nodes=nodes, start=start, end=end, operation_id=deployment_id
        )
    else:
        rows = fetch(session.deployer, nodes=nodes, start=start, end=end, deployment_id=deployment_id)
    chosen = set(node_names.parse(nodes, "-m")) if nodes else None
    rows = [
        row
        for row in rows
        if (chosen is None or row.node in chosen)
        and (least is None or any(row.retries.get(step, 0) >= least for step in steps))
    ]
    if options["rates"]:
        finish(_show_rates(session, rows, options["sort"]))
    rows = _sorted(rows, options["sort"])[: options["limit"]]
    finish(_show(session, rows, wanted))


def _fields(words: Sequence[str], *, every: bool) -> list[str]:
    named = [name for word in words for name in word.split(",") if name]
    unknown = next((name for name in named if name not in FIELDS), None)
    if unknown is not None:
        raise UsageFailure(f"{unknown} is no field", advice=f"The fields are {', '.join(FIELDS)}.")
    return named or (list(FIELDS) if every else [])


def _least_retries(every: str | None, least: int | None) -> int | None:
    if every in (None, ALL):
        return least
    if not (every.isascii() and every.isdigit()) or least is not None:
        raise UsageFailure("-a takes a number of retries, or stands for all fields; -r N says it, too")
    return int(every)


def _steps(words: Sequence[str]) -> tuple[int, ...]:
    named = [number for word in words for number in word.split(",") if number]
    if any(number not in ("1", "2", "3") for number in named):
        raise UsageFailure("-s names macro-steps: 1 (deployment environment), 2 (broadcast), 3 (new system)")
    return tuple(int(number) for number in named) or (1, 2, 3)


def _sorted(rows: list[NodeRow], wanted: str) -> list[NodeRow]:
    for word in reversed([word for word in wanted.split(",") if word]):
        name = word.removeprefix("-")
        if name not in FIELDS:
            raise UsageFailure(f"--sort: {name} is no field", advice=f"The fields are {', '.join(FIELDS)}.")
        rows = sorted(rows, key=lambda row, name=name: natural_order(FIELDS[name](row)), reverse=word.startswith("-"))  # type: ignore[misc]
    return rows


def _show(session: Session, rows: Sequence[NodeRow], fields: Sequence[str]) -> ExitCode:
    data = [{name: FIELDS[name](row) for name in (fields or FIELDS)} for row in rows]
    if session.form is not output.Format.TABLE:
        output.show(session.form, columns=(), rows=(), data=data, names=[row.node for row in rows])
    elif fields:
        for line in aligned([[name.upper() for name in fields], *([item[name] for name in fields] for item in data)]):
            click.echo(line)
    else:
        short = without_domains(list(dict.fromkeys(row.node for row in rows)))
        cells = [
            (
                short[row.node],
                row.user,
                row.environment,
                datetime.fromtimestamp(row.start).astimezone().strftime("%Y-%m-%d %H:%M"),
                f"{sum(row.seconds.values()):.0f}",
                FIELDS["success"](row),
            )
            for row in rows
        ]
        for line in short_lines(SHORT, [[column.name for column in SHORT], *cells]):
            click.echo(line)
    return ExitCode.OK


def _show_rates(session: Session, rows: Sequence[NodeRow], sort: str) -> ExitCode:
    counted: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        counted[row.node].append(row.succeeded)
    if sort not in ("", "hostname", "-hostname", "rate", "-rate"):
        raise UsageFailure("--sort with -b: hostname or rate")
    names = sorted(counted, key=natural_order, reverse=sort == "-hostname")
    rate = {name: counted[name].count(False) / len(counted[name]) for name in names}
    if "rate" in sort:
        names.sort(key=rate.__getitem__, reverse=sort.startswith("-"))
    data = [
        {
            "hostname": name,
            "deployments": len(counted[name]),
            "failures": counted[name].count(False),
            "failure_rate": round(rate[name], 4),
        }
        for name in names
    ]
    if session.form is not output.Format.TABLE:
        output.show(session.form, columns=(), rows=(), data=data, names=names)
        return ExitCode.OK
    cells = [
        (name, f"{counted[name].count(False)} of {len(counted[name])}", f"{100 * rate[name]:.2f} %") for name in names
    ]
    for line in short_lines(RATES, [[column.name for column in RATES], *cells]):
        click.echo(line)
    return ExitCode.OK
