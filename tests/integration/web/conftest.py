"""A page beside real services with a past, and a browser; made once, for they take seconds to start."""

import sqlite3
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.web_site import WebSite, chromium, web_site

DAY = 86400.0
READ_ONLY = "mkfs.ext4 -F /dev/sda3: exit status 1: <img src=/none onerror=alert(1)> the disk is read-only"
NOT_THERE = "no answer from 10.0.0.12 after 300 s; it never asked for the deployment environment"
EVIL_LABEL = "<script>document.title='broken into'</script>"


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebSite]:
    with web_site(tmp_path_factory.mktemp("web")) as site:
        _make_past(site)
        yield site


# Not for the session: the browser's event loop runs in this thread, and tests with a loop of their own come after.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def _make_past(site: WebSite) -> None:
    """Lets deployments run and puts them into earlier months."""
    database = sqlite3.connect(site.site.directory / "deploy_state.db", timeout=30)
    with site.client("alice") as alice:
        for number in range(6):
            failures = {f"node-{7 + 5 * (number % 3)}": ["format", READ_ONLY]} if number % 3 else {}
            if number == 5:
                failures |= {"node-12": ["boot_deployment_environment", NOT_THERE]}
            site.pace(seconds=0.01, failures=failures)
            made = alice.deploy("node-[1-40]", "debian" if number % 2 else "rocky", device="sda", partition=3)
            alice.wait(made.id, seconds=30)
            shift = (5 - number) * 25 * DAY
            _age(database, made.id, shift)
    database.close()


def _age(database: sqlite3.Connection, deployment_id: str, seconds: float) -> None:
    times = {
        "deployments": ("id", ("create_time", "start_time", "end_time")),
        "deployment_nodes": ("deployment_id", ("start_time", "end_time")),
        "node_steps": ("deployment_id", ("start_time", "end_time")),
    }
    with database:
        for table, (key, columns) in times.items():
            changes = ", ".join(f"{column} = {column} - ?" for column in columns)
            statement = f"UPDATE {table} SET {changes} WHERE {key} = ?"  # noqa: S608 - names of this module
            database.execute(statement, (*[seconds] * len(columns), deployment_id))
