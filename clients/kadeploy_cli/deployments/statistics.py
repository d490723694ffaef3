"""The history of deployments: per month, how often each node failed, how long each step took."""

from datetime import datetime
from typing import Any

from google.protobuf.duration_pb2 import Duration

from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import UsageFailure
from kadeploy_cli.terminal.plain import plain


def show(session: Session, *, nodes: str, since: datetime | None, until: datetime | None) -> ExitCode:
    """Prints what was counted of the deployments begun in an interval, in the user's own time zone."""
    if since is not None and until is not None and since >= until:
        raise UsageFailure(f"--until {until:%Y-%m-%d} is not after --since {since:%Y-%m-%d}")
    deployer = session.deployer
    request = deployer_service_pb2.GetStatisticsRequest(nodes=nodes)
    if since is not None:
        request.start_time.FromDatetime(since.astimezone())
    if until is not None:
        request.end_time.FromDatetime(until.astimezone())
    found = deployer.call(deployer.states.GetStatistics, request)
    if session.form is not output.Format.TABLE:
        names = [f"{month.year}-{month.month:02}" for month in found.months]
        output.show(session.form, columns=(), rows=(), data=_data(found), names=names)
        return ExitCode.OK
    output.show_table(
        ("MONTH", "DEPLOYMENTS", "FAILED", "NODES", "NODES PER DEPLOYMENT"),
        [*(_month(f"{month.year}-{month.month:02}", month) for month in found.months), _total(found)],
    )
    output.show_text("", "")
    output.show_table(
        ("NODE", "DEPLOYMENTS", "FAILURES", "FAILURE RATE"),
        [
            (one.node, str(one.deployments), str(one.failures), _percent(one.failures, one.deployments))
            for one in found.nodes
        ],
    )
    output.show_text("", "")
    output.show_table(
        ("STEP", "TIMES", "FAILURES", "MEDIAN", "SLOWEST"),
        [
            (
                one.step.replace("_", " "),
                str(one.count),
                str(one.failures),
                f"{_seconds(one.median_duration):.1f} s",
                f"{_seconds(one.maximum_duration):.1f} s",
            )
            for one in found.steps
        ],
    )
    return ExitCode.OK


def _month(name: str, month: deployer_service_pb2.MonthStatistics) -> tuple[str, ...]:
    mean = month.nodes / month.deployments if month.deployments else 0.0
    return (name, str(month.deployments), str(month.failed_deployments), str(month.nodes), f"{mean:.1f}")


def _total(found: deployer_service_pb2.GetStatisticsResponse) -> tuple[str, ...]:
    total = deployer_service_pb2.MonthStatistics(
        deployments=sum(month.deployments for month in found.months),
        failed_deployments=sum(month.failed_deployments for month in found.months),
        nodes=sum(month.nodes for month in found.months),
    )
    return _month("total", total)


def _data(found: deployer_service_pb2.GetStatisticsResponse) -> Any:
    data = plain(found)
    for node in data["nodes"]:
        node["failure_rate"] = round(node["failures"] / node["deployments"], 4) if node["deployments"] else 0.0
    return data


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9
