"""How many environments a user may have, and lists of very large ones, over a real server on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from kadeploy.inventory.v1 import environment_pb2, inventory_service_pb2
from kadeploy_edge.page import LARGEST_PAGE_BYTES
from kadeploy_inventory.domain.environment_quota import EnvironmentQuota
from tests.integration.inventory.conftest import Client, Site, serving
from tests.integration.inventory.requests import DIGEST, an_environment, recording, refusal

pytestmark = pytest.mark.integration

LINE = "é" * 2048


@pytest.fixture
def narrow(engines: dict[str, Engine], tmp_path: Path) -> Iterator[Site]:
    """An inventory where a user may have five environments, three of one name."""
    with serving(engines, tmp_path, quota=EnvironmentQuota(environments=5, versions=3)) as site:
        yield site


def record(client: Client, name: str = "debian", **changes: object) -> environment_pb2.Environment:
    return client.environments.RecordEnvironment(recording(an_environment(name, **changes)))


def test_too_many_versions_of_a_name_are_refused_and_the_oldest_is_named(narrow: Site) -> None:
    for version in (7, 2, 3):
        record(narrow.alice, version=version)
    said = refusal(lambda: record(narrow.alice, version=4))
    assert (said.code.name, said.reason) == ("RESOURCE_EXHAUSTED", "ENVIRONMENT_QUOTA_REACHED")
    assert said.message == (
        "alice has 3 versions of debian, as many as the site allows; "
        "delete some first, such as debian version 7 of alice"
    )
    # What stands there already is no new one.
    assert record(narrow.alice, version=2).version == 2
    checked = recording(an_environment(version=4))
    checked.validate_only = True
    assert refusal(lambda: narrow.alice.environments.RecordEnvironment(checked)).reason == said.reason


def test_too_many_environments_are_refused_until_one_is_deleted(narrow: Site) -> None:
    for number in range(5):
        record(narrow.alice, f"e{number}")
    said = refusal(lambda: record(narrow.alice, "e5"))
    assert said.reason == "ENVIRONMENT_QUOTA_REACHED"
    assert "alice has 5 environments" in said.message
    assert "e0 version 1 of alice" in said.message
    record(narrow.bob, "e5")
    wanted = environment_pb2.EnvironmentReference(name="e0")
    narrow.alice.environments.DeleteEnvironment(inventory_service_pb2.DeleteEnvironmentRequest(environment=wanted))
    record(narrow.alice, "e5")


def test_administrators_have_no_quota_also_on_behalf_of_others(narrow: Site) -> None:
    for version in range(1, 6):
        record(narrow.root, version=version)
        record(narrow.root, version=version, owner="alice")
    assert refusal(lambda: record(narrow.alice, "other")).reason == "ENVIRONMENT_QUOTA_REACHED"


def test_a_list_of_the_largest_environments_comes_in_pages_that_any_client_takes(site: Site) -> None:
    archive = environment_pb2.ScriptArchive(
        uri="file:///" + "p" * 1000, compression=environment_pb2.COMPRESSION_NONE, digest=DIGEST, script="s" * 2000
    )
    for version in range(1, 101):
        record(site.root, version=version, description=LINE, options=LINE, author=LINE, postinstalls=[archive] * 16)
    found: list[int] = []
    token, pages = "", 0
    while token or not pages:
        request = inventory_service_pb2.ListEnvironmentsRequest(page_size=500, page_token=token)
        answer = site.root.environments.ListEnvironments(request)
        assert answer.ByteSize() < LARGEST_PAGE_BYTES + 1000
        found += [each.version for each in answer.environments]
        token, pages = answer.next_page_token, pages + 1
    assert found == list(range(100, 0, -1))
    assert pages > 1
