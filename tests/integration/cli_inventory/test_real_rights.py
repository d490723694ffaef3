"""Granting, listing and taking away rights, on a real inventory."""

import json
from collections.abc import Callable

import pytest
from click.testing import Result

from kadeploy_cli.nodes.classic_commands import kaaddnode
from kadeploy_cli.rights.classic_commands import kaadduser, kadeluser, karights

pytestmark = pytest.mark.integration

Run = Callable[..., Result]
NODES = "nodes: [{name: 'node-[08-11]', mac: '52:54:00:00:00:[08-0b]', ip: '10.0.0.[8-11]'}]\n"


@pytest.fixture(autouse=True)
def _nodes(run: Run) -> None:
    assert run(kaaddnode, ["-"], stdin=NODES).exit_code == 0


def listed(run: Run, *options: str, user: str = "") -> list[str]:
    result = run(karights, ["--list", *options, "--output", "name"], user=user)
    assert result.exit_code == 0, result.output
    return result.stdout.split()


def test_rights_are_granted_listed_and_taken_away(run: Run) -> None:
    assert run(kaadduser, ["-l", "bob", "-l", "eve", "-f", "-", "-p", "sda3"], stdin="node-[08-09]").exit_code == 0
    assert run(karights, ["-a", "-u", "ann", "-m", "node-10", "-p", "*"]).exit_code == 0
    assert listed(run, "-u", "bob") == ["bob:node-08:sda3", "bob:node-09:sda3"]
    assert listed(run, "-m", "node-10") == ["ann:node-10:*"]
    assert listed(run, user="eve") == ["eve:node-08:sda3", "eve:node-09:sda3"]
    assert run(kadeluser, ["-m", "node-09"]).exit_code == 0
    assert run(karights, ["-d", "-u", "eve"]).exit_code == 0
    assert listed(run) == ["ann:node-10:*", "bob:node-08:sda3"]
    assert run(kadeluser, []).exit_code == 2


def test_karights_refuses_nodes_of_others_unless_it_is_to_overwrite(run: Run) -> None:
    assert run(kaadduser, ["-l", "bob", "-m", "node-[08-09]"]).exit_code == 0
    refused = run(karights, ["-a", "-u", "eve", "-m", "node-[09-10]"])
    assert refused.exit_code == 5
    assert "bob on node-09" in refused.stderr
    assert run(karights, ["-a", "-o", "-u", "eve", "-m", "node-[09-10]"]).exit_code == 0
    assert listed(run) == ["bob:node-08:*", "eve:node-09:*", "eve:node-10:*"]
    assert run(karights, []).exit_code == 2


def test_an_expiry_time_is_kept_and_one_in_the_past_is_refused(run: Run) -> None:
    assert run(kaadduser, ["-l", "bob", "-m", "*", "--until", "2099-01-31T18:00+00:00"]).exit_code == 0
    found = json.loads(run(karights, ["-l", "--output", "json"]).stdout)
    assert [right["expire_time"] for right in found] == ["2099-01-31T18:00:00Z"]
    past = run(kaadduser, ["-l", "bob", "-m", "*", "--until", "2001-01-01"])
    assert past.exit_code == 2
    assert "must be in the future" in past.stderr


def test_a_user_grants_nothing(run: Run) -> None:
    assert run(kaadduser, ["-l", "bob", "-m", "node-08"], user="bob").exit_code == 5
    assert listed(run) == []


def test_an_error_about_thousands_of_nodes_is_still_an_answer(run: Run) -> None:
    result = run(kaadduser, ["-l", "bob", "-m", "a-node-that-nobody-has-registered-[1-3000]"])
    assert result.exit_code == 4
    assert "NODE_NOT_FOUND" in result.stderr
    assert len(result.stderr) < 2000
