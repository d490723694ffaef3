"""A history that the database itself writes, by triggers, and what has to be true of it."""

import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from kadeploy_deployer.domain.lifecycle import DEPLOYMENT, FINISHED, PARTITION
from kadeploy_deployer.domain.states import DeploymentState, PartitionState

EDGES = {(str(state), str(target)) for (state, _), target in DEPLOYMENT.items()}
NODE_EDGES = {(str(state), str(target)) for (state, _), target in PARTITION.items()}
PLAN = ("", "boot", "write", "reboot")
"""The steps of the deployments whose history is checked, after none."""


def keep(engine: Engine) -> None:
    """Lets the database note every lock and every change of a deployment's or a node's state, as they are committed."""
    sqlite = engine.dialect.name == "sqlite"
    key = "INTEGER PRIMARY KEY AUTOINCREMENT" if sqlite else "BIGINT PRIMARY KEY AUTO_INCREMENT"
    words = ("kind", "node", "deployment", "was", "becomes", "step_was", "step")
    numbers = ("attempt_was", "attempt", "fence")
    columns = ", ".join([*(f"{word} VARCHAR(255)" for word in words), *(f"{number} BIGINT" for number in numbers)])
    fence = "(SELECT fence FROM deployments WHERE id = NEW.deployment_id)"
    moved = "OLD.state <> NEW.state OR OLD.step <> NEW.step OR OLD.attempt <> NEW.attempt"
    noted = {
        "AFTER INSERT ON node_locks": ("'lock', NEW.node, NEW.deployment_id, '', '', '', '', 0, 0, 0", ""),
        "AFTER DELETE ON node_locks": ("'free', OLD.node, OLD.deployment_id, '', '', '', '', 0, 0, 0", ""),
        "AFTER INSERT ON deployments": ("'state', '', NEW.id, '', NEW.state, '', '', 0, 0, NEW.fence", ""),
        "AFTER UPDATE ON deployments": ("'state', '', NEW.id, OLD.state, NEW.state, '', '', 0, 0, NEW.fence", ""),
        "AFTER UPDATE ON deployment_nodes": (
            "'node', NEW.node, NEW.deployment_id, OLD.state, NEW.state, OLD.step, NEW.step, OLD.attempt, NEW.attempt, "
            + fence,
            moved,
        ),
    }
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE history (sequence {key}, {columns})")
        for number, (when, (values, condition)) in enumerate(noted.items()):
            source = "" if sqlite else " FROM DUAL"
            where = f"{source} WHERE {condition}" if condition else ""
            insert = f"INSERT INTO history ({', '.join((*words, *numbers))}) SELECT {values}{where}"
            body = f"BEGIN {insert}; END" if sqlite else insert
            connection.exec_driver_sql(f"CREATE TRIGGER history_{number} {when} FOR EACH ROW {body}")


def read(engine: Engine) -> Sequence[Any]:
    """Returns the history."""
    with engine.begin() as connection:
        return connection.exec_driver_sql("SELECT * FROM history ORDER BY sequence").all()


def check(history: Sequence[Any]) -> Counter[str]:
    """Asserts the invariants over a history and returns in which state how many deployments ended."""
    held: dict[str, str] = {}
    states: dict[str, str] = {}
    fences: Counter[str] = Counter()
    positions: dict[tuple[str, str], tuple[str, str, int]] = {}
    for row in history:
        if row.kind == "lock":
            assert row.node not in held, f"{row.node} was given to {row.deployment} while {held[row.node]} held it"
            held[row.node] = row.deployment
        elif row.kind == "free":
            assert held.pop(row.node) == row.deployment
        elif row.kind == "node":
            assert row.fence >= fences[row.deployment]
            waits = states[row.deployment] == DeploymentState.WAITING
            if not waits:
                assert held.get(row.node) == row.deployment, f"{row.deployment} moved {row.node} without holding it"
            _check_node(row, positions, waits=waits)
        else:
            assert row.was == states.get(row.deployment, "")
            assert row.was not in FINISHED, f"{row.deployment} changed after its end"
            assert row.was in ("", row.becomes) or (row.was, row.becomes) in EDGES
            assert row.fence >= fences[row.deployment]
            states[row.deployment], fences[row.deployment] = row.becomes, row.fence
            waiting = [name for name, state in states.items() if state == DeploymentState.WAITING]
            assert len(waiting) <= 1, f"{waiting} wait at once"
    assert held == {}
    return Counter(states.values())


def _check_node(row: Any, positions: dict[tuple[str, str], tuple[str, str, int]], *, waits: bool) -> None:
    """Asserts that a node goes on from where it is, by an edge of its table, to the next attempt or the next step.

    `waits`: whether its deployment waits for its nodes; it may leave one out.
    """
    name = row.deployment, row.node
    before = (row.was, row.step_was, row.attempt_was)
    assert before == positions.get(name, (str(PartitionState.TO_DEPLOY), "", 0)), f"{name} did not go on from {before}"
    assert row.was not in (PartitionState.DEPLOYED, PartitionState.ERROR), f"{name} changed after its end"
    assert row.was == row.becomes or (row.was, row.becomes) in NODE_EDGES or (waits and row.becomes == "")
    if (row.step, row.attempt) != (row.step_was, row.attempt_was):
        again = (row.step, row.attempt) == (row.step_was, row.attempt_was + 1)
        following = (PLAN.index(row.step), row.attempt) == (PLAN.index(row.step_was) + 1, 1)
        assert again or following, f"{name} went from {before} to {row.step} {row.attempt}"
    positions[name] = (row.becomes, row.step, row.attempt)


def check_work(directory: Path) -> int:
    """Asserts that no two deployments ever worked on one node at the same time; returns how often one worked."""
    work: dict[str, list[tuple[int, int, str]]] = {}
    for file in directory.glob("work-*"):
        for line in file.read_text(encoding="utf-8").splitlines():
            node, deployment, first, last = line.split()
            work.setdefault(node, []).append((int(first), int(last), deployment))
    for node, times in work.items():
        times.sort()
        for (_, until, before), (since, _, after) in itertools.pairwise(times):
            assert before == after or until <= since, f"{before} and {after} worked on {node} at once"
    return sum(map(len, work.values()))


def check_turns(directory: Path) -> int:
    """Asserts that no deployment acted on a node after another had begun to; returns how often one acted."""
    acts: dict[str, list[tuple[int, str]]] = {}
    for file in directory.glob("work-*"):
        for line in file.read_text(encoding="utf-8").splitlines():
            node, deployment, when, _ = line.split()
            acts.setdefault(node, []).append((int(when), deployment))
    for node, times in acts.items():
        turns = [deployment for deployment, _ in itertools.groupby(deployment for _, deployment in sorted(times))]
        assert len(turns) == len(set(turns)), f"somebody acted on {node} when his turn was over: {turns}"
    return sum(map(len, acts.values()))
