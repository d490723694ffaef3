"""Three deployer processes, sixty clients, the same nodes: what the database saw keeps every promise."""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy.engine import URL

from kadeploy_deployer.domain.states import DeploymentState
from kadeploy_deployer.store.database import Database
from tests.fakes import history
from tests.fakes.crowded_deployer import CLIENTS, REQUESTS

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[4]
NAMES = ("red", "green", "blue")
REFUSALS = {"NODES_BUSY", "NO_NODE_LEFT", "ANOTHER_DEPLOYMENT_WAITING"}


def test_the_history_of_a_crowd_keeps_the_invariants(url: URL, database: Database, tmp_path: Path) -> None:
    history.keep(database.engine)
    shown = url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "tests.fakes.crowded_deployer", shown]
    crowd = [
        subprocess.Popen([*command, name, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True) for name in NAMES
    ]
    try:
        answers = [line.split() for one in crowd for line in one.communicate(timeout=100)[0].splitlines()]
    finally:
        for one in crowd:
            one.kill()
            one.wait()

    assert [one.returncode for one in crowd] == [0, 0, 0]
    assert len(answers) == len(NAMES) * CLIENTS * REQUESTS
    assert {reason for kind, reason in answers if kind == "refused"} <= REFUSALS
    ended = history.check(history.read(database.engine))
    assert set(ended) <= {DeploymentState.TERMINATED, DeploymentState.ERROR}
    assert sum(ended.values()) == Counter(kind for kind, _ in answers)["ended"]
    assert ended[DeploymentState.TERMINATED] > 0
    assert history.check_work(tmp_path) > 0


@pytest.mark.parametrize(
    "rows",
    [
        [("lock", "node1", "one", "", ""), ("lock", "node1", "two", "", "")],
        [("state", "", "one", "", "waiting"), ("state", "", "two", "", "waiting")],
        [("state", "", "one", "", "error"), ("state", "", "one", "error", "deploying")],
        [("lock", "node1", "one", "", "")],
    ],
    ids=["given twice", "two wait", "changed after its end", "never freed"],
)
def test_the_check_sees_a_broken_promise(rows: list[tuple[str, str, str, str, str]]) -> None:
    names = ("kind", "node", "deployment", "was", "becomes")
    with pytest.raises(AssertionError):
        history.check([SimpleNamespace(**dict(zip(names, row, strict=True)), fence=1) for row in rows])
