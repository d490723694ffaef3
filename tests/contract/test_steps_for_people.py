"""The steps as the clients list them are those of the deployer's plan, in its order."""

import re
from pathlib import Path

import kadeploy_web
from kadeploy_cli.deployments.watching.steps import STEPS
from kadeploy_deployer.steps.plan import PLAN
from kadeploy_web.deployment_rows import STEPS_IN_ORDER

STATES = Path(kadeploy_web.__file__).parent / "static" / "states.js"
NAMES = tuple(step.name for step in PLAN)


def test_the_command_line_knows_them() -> None:
    assert STEPS == NAMES


def test_the_page_s_server_knows_them() -> None:
    assert STEPS_IN_ORDER == NAMES


def test_the_page_knows_them() -> None:
    found = re.search(r"export const STEPS = \[(.*?)\];", STATES.read_text(), re.DOTALL)
    assert found
    assert tuple(re.findall(r'"(\w+)"', found[1])) == NAMES
