"""EnvironmentService over a real server, on both databases: recording, lookup, visibility."""

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from kadeploy.inventory.v1 import environment_pb2, inventory_service_pb2
from tests.integration.inventory.conftest import Client, Site
from tests.integration.inventory.requests import DIGEST, an_environment, recording, refusal

pytestmark = pytest.mark.integration

PRIVATE = environment_pb2.VISIBILITY_PRIVATE
SHARED = environment_pb2.VISIBILITY_SHARED
PUBLIC = environment_pb2.VISIBILITY_PUBLIC
OTHER_DIGEST = "sha256:" + "cd" * 32


def record(client: Client, name: str = "debian", **changes: object) -> environment_pb2.Environment:
    return client.environments.RecordEnvironment(recording(an_environment(name, **changes)))


def get(client: Client, name: str = "debian", **reference: object) -> environment_pb2.Environment:
    wanted = environment_pb2.EnvironmentReference(name=name, **reference)  # type: ignore[arg-type]
    request = inventory_service_pb2.GetEnvironmentRequest(environment=wanted)
    return client.environments.GetEnvironment(request)


def listed(client: Client, **wanted: object) -> list[tuple[str, str, int]]:
    request = inventory_service_pb2.ListEnvironmentsRequest(
        filter=inventory_service_pb2.EnvironmentFilter(**wanted)  # type: ignore[arg-type]
    )
    found = client.environments.ListEnvironments(request).environments
    return [(each.name, each.owner, each.version) for each in found]


def update(client: Client, environment: environment_pb2.Environment, *paths: str) -> environment_pb2.Environment:
    request = inventory_service_pb2.UpdateEnvironmentRequest(
        environment=environment, update_mask=FieldMask(paths=paths)
    )
    return client.environments.UpdateEnvironment(request)


def delete(client: Client, name: str = "debian", **reference: object) -> list[int]:
    wanted = environment_pb2.EnvironmentReference(name=name, **reference)  # type: ignore[arg-type]
    request = inventory_service_pb2.DeleteEnvironmentRequest(environment=wanted)
    return list(client.environments.DeleteEnvironment(request).versions)


def test_with_validate_only_everything_is_checked_and_nothing_recorded(site: Site) -> None:
    def checked(client: Client, **changes: Any) -> environment_pb2.Environment:
        request = recording(an_environment(**changes))
        request.validate_only = True
        return client.environments.RecordEnvironment(request)

    assert (checked(site.alice).owner, listed(site.alice)) == ("alice", [])
    assert refusal(lambda: checked(site.alice, name="a b")).violations[0].field == "environment.name"
    assert refusal(lambda: checked(site.alice, visibility=PUBLIC)).reason == "ADMINISTRATORS_ONLY"
    record(site.alice)
    assert refusal(lambda: checked(site.alice, description="another")).reason == "ENVIRONMENT_EXISTS"
    assert listed(site.alice) == [("debian", "alice", 1)]


def test_a_recorded_environment_belongs_to_its_caller_and_reads_back_as_it_was(site: Site) -> None:
    archive = environment_pb2.ScriptArchive(
        uri="file:///srv/post.tgz", compression=environment_pb2.COMPRESSION_GZIP, digest=DIGEST
    )
    recorded = record(site.alice, postinstalls=[archive])
    assert (recorded.owner, recorded.version, recorded.visibility) == ("alice", 1, PRIVATE)
    assert recorded.postinstalls[0].script == "traitement.ash"
    assert not recorded.HasField("preinstall")
    assert recorded.uid
    assert get(site.alice) == recorded


def test_recording_the_same_again_answers_with_what_stands_there(site: Site) -> None:
    assert record(site.alice) == record(site.alice)
    error = refusal(lambda: record(site.alice, description="other"))
    assert (error.code.name, error.reason) == ("ALREADY_EXISTS", "ENVIRONMENT_EXISTS")


def test_owners_do_not_disturb_each_other(site: Site) -> None:
    assert record(site.alice).uid != record(site.bob, description="other").uid


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "swap"}, "environment.name"),
        ({"file_system": ""}, "environment.file_system"),
        ({"cluster": "none"}, "environment.cluster"),
        ({"image": environment_pb2.Image()}, "environment.image.kind"),
    ],
)
def test_a_bad_environment_is_refused_with_its_field(site: Site, changes: dict[str, object], field: str) -> None:
    error = refusal(lambda: record(site.alice, **changes))  # type: ignore[arg-type]
    assert error.reason == "INVALID_ENVIRONMENT"
    assert error.violations[0].field == field


def test_only_administrators_record_public_ones_and_those_of_others(site: Site) -> None:
    assert refusal(lambda: record(site.alice, visibility=PUBLIC)).reason == "ADMINISTRATORS_ONLY"
    assert refusal(lambda: record(site.alice, owner="bob")).reason == "NOT_YOURS"
    assert record(site.root, visibility=PUBLIC, owner="bob").owner == "bob"


def test_the_lookup_rule_finds_own_then_public_ones_and_shared_ones_by_owner(site: Site) -> None:
    record(site.root, version=7, visibility=PUBLIC)
    assert get(site.alice).version == 7
    record(site.alice, version=1)
    record(site.alice, version=2)
    assert get(site.alice).version == 2
    assert get(site.alice, version=1).version == 1
    assert get(site.alice, owner="root").version == 7
    record(site.bob, "secret")
    record(site.bob, "shared", visibility=SHARED)
    assert refusal(lambda: get(site.alice, "shared")).reason == "ENVIRONMENT_NOT_FOUND"
    assert get(site.alice, "shared", owner="bob").owner == "bob"
    error = refusal(lambda: get(site.alice, "secret", owner="bob"))
    assert (error.code.name, error.reason) == ("NOT_FOUND", "ENVIRONMENT_NOT_FOUND")


def test_a_list_shows_what_the_caller_may_use(site: Site) -> None:
    record(site.alice, "a")
    record(site.bob, "b")
    record(site.bob, "c", visibility=SHARED)
    record(site.root, "d", visibility=PUBLIC)
    assert [name for name, _, _ in listed(site.alice)] == ["a", "c", "d"]
    assert [name for name, _, _ in listed(site.bob)] == ["b", "c", "d"]
    assert [name for name, _, _ in listed(site.root)] == ["a", "b", "c", "d"]
    assert [name for name, _, _ in listed(site.alice, owner="bob")] == ["c"]


def test_a_list_goes_by_name_owner_and_latest_version_first_in_pages(site: Site) -> None:
    for version in (1, 3, 2):
        record(site.alice, "debian", version=version)
    record(site.alice, "arch")
    record(site.bob, "debian", visibility=SHARED)
    wanted = [
        ("arch", "alice", 1),
        ("debian", "alice", 3),
        ("debian", "alice", 2),
        ("debian", "alice", 1),
        ("debian", "bob", 1),
    ]
    assert listed(site.alice) == wanted
    found, request = [], inventory_service_pb2.ListEnvironmentsRequest(page_size=2)
    for _ in range(3):
        page = site.alice.environments.ListEnvironments(request)
        found += [(each.name, each.owner, each.version) for each in page.environments]
        request.page_token = page.next_page_token
    assert found == wanted
    assert request.page_token == ""
    assert listed(site.alice, latest=True) == [wanted[0], wanted[1], wanted[4]]
    assert listed(site.alice, name="arch") == [wanted[0]]


def test_the_latest_that_is_listed_is_one_that_the_caller_may_use(site: Site) -> None:
    record(site.bob, version=1, visibility=SHARED)
    record(site.bob, version=2)
    assert listed(site.alice, latest=True) == [("debian", "bob", 1)]


def test_a_list_for_a_cluster_shows_those_made_for_it_and_for_any(site: Site) -> None:
    record(site.alice, "any")
    record(site.alice, "here", cluster="default")
    assert [name for name, _, _ in listed(site.alice, cluster="default")] == ["any", "here"]
    assert [name for name, _, _ in listed(site.alice, cluster="other")] == ["any"]


def test_visibility_and_digests_change_and_nothing_else_does(site: Site) -> None:
    archive = environment_pb2.ScriptArchive(
        uri="file:///p.tgz", compression=environment_pb2.COMPRESSION_GZIP, digest=DIGEST
    )
    before = record(site.alice, postinstalls=[archive])
    wanted = environment_pb2.Environment()
    wanted.CopyFrom(before)
    wanted.visibility, wanted.description = SHARED, "ignored"
    wanted.image.digest, wanted.image.size_bytes = OTHER_DIGEST, 2000
    wanted.postinstalls[0].digest = OTHER_DIGEST
    after = update(site.alice, wanted, "visibility", "image.digest", "postinstalls")
    assert (after.visibility, after.description) == (SHARED, before.description)
    assert (after.image.digest, after.image.size_bytes) == (OTHER_DIGEST, 2000)
    assert after.postinstalls[0].digest == OTHER_DIGEST
    assert after.etag != before.etag
    assert get(site.alice) == after
    assert refusal(lambda: update(site.alice, wanted, "visibility")).reason == "STALE_ETAG"
    wanted.etag = after.etag
    assert refusal(lambda: update(site.alice, wanted, "description")).reason == "IMMUTABLE_FIELD"
    assert refusal(lambda: update(site.alice, wanted)).reason == "INVALID_ENVIRONMENT"
    wanted.postinstalls[0].uri = "file:///other.tgz"
    assert refusal(lambda: update(site.alice, wanted, "postinstalls")).reason == "IMMUTABLE_FIELD"


def test_others_environments_are_not_changed(site: Site) -> None:
    shared = record(site.bob, visibility=SHARED)
    secret = record(site.bob, "secret")
    assert refusal(lambda: update(site.alice, shared, "visibility")).reason == "NOT_YOURS"
    assert refusal(lambda: update(site.alice, secret, "visibility")).reason == "ENVIRONMENT_NOT_FOUND"
    shared.visibility = PUBLIC
    assert refusal(lambda: update(site.bob, shared, "visibility")).reason == "ADMINISTRATORS_ONLY"
    assert update(site.root, shared, "visibility").visibility == PUBLIC


def test_own_environments_are_removed_by_version_or_all_at_once(site: Site) -> None:
    for version in (1, 2, 3):
        record(site.alice, version=version)
    record(site.bob)
    assert delete(site.alice, version=2) == [2]
    assert delete(site.alice) == [1, 3]
    assert refusal(lambda: delete(site.alice)).reason == "ENVIRONMENT_NOT_FOUND"
    assert refusal(lambda: delete(site.alice, owner="bob")).reason == "NOT_YOURS"
    assert delete(site.root, owner="bob") == [1]
