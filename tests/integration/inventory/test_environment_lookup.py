"""Which environment a reference means, on both databases; and that others' versions of the name cost nothing."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from kadeploy_inventory.app.environments import Asker, get_environment
from kadeploy_inventory.domain.cluster import EnvironmentReference
from kadeploy_inventory.domain.environment import Environment, Visibility
from kadeploy_inventory.domain.environment_lookup import Search, searches
from kadeploy_inventory.domain.errors import EnvironmentNotFound
from kadeploy_inventory.store import documents as documents_module
from kadeploy_inventory.store import environment_repository
from kadeploy_inventory.store.environment_repository import EnvironmentRepository
from kadeploy_inventory.store.sql_store import SqlStore
from tests.unit.inventory.builders import archive, environment

pytestmark = pytest.mark.integration

PRIVATE, SHARED, PUBLIC = Visibility.PRIVATE, Visibility.SHARED, Visibility.PUBLIC
NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
uids = itertools.count()


def recorded(*candidates: Environment) -> Callable[[Any], None]:
    def add(work: Any) -> None:
        for each in candidates:
            work.environments.add(_stored(each))

    return add


def _stored(description: Environment) -> Environment:
    return replace(description, uid=f"u{next(uids)}", etag="e", create_time=NOW)


def chosen(store: SqlStore, candidates: list[Environment], *, sees_all: bool = False, **reference: object) -> str:
    store.change_deploy(recorded(*candidates))
    wanted = EnvironmentReference(name="debian", **reference)  # type: ignore[arg-type]
    return chosen_by(store, wanted, Asker(user="alice", sees_all=sees_all))


def test_one_s_own_comes_before_a_public_one(store: SqlStore) -> None:
    others = environment(owner="root", version=9, visibility=PUBLIC)
    assert chosen(store, [others, environment(version=1), environment(version=2)]) == "alice 2"


def test_a_public_one_is_found_without_naming_its_owner(store: SqlStore) -> None:
    assert chosen(store, [environment(owner="root", visibility=PUBLIC)]) == "root 1"


def test_a_shared_one_is_found_by_naming_its_owner_alone(store: SqlStore) -> None:
    assert chosen(store, [environment(owner="bob", visibility=SHARED)]) == "none"
    assert chosen(store, [], owner="bob") == "bob 1"


def test_a_private_one_is_found_by_those_who_see_all_alone(store: SqlStore) -> None:
    assert chosen(store, [environment(owner="bob", visibility=PRIVATE)], owner="bob") == "none"
    assert chosen(store, [], owner="bob", sees_all=True) == "bob 1"


def test_naming_an_owner_leaves_out_one_s_own(store: SqlStore) -> None:
    assert chosen(store, [environment()], owner="bob") == "none"


def test_a_version_that_is_named_is_the_one(store: SqlStore) -> None:
    versions = [environment(version=number) for number in (1, 2, 3)]
    assert chosen(store, versions, version=2) == "alice 2"
    assert chosen(store, [], version=4) == "none"


def test_the_latest_private_one_does_not_hide_an_earlier_shared_one(store: SqlStore) -> None:
    versions = [environment(owner="bob", version=1, visibility=SHARED), environment(owner="bob", version=2)]
    assert chosen(store, versions, owner="bob") == "bob 1"


def test_between_owners_of_the_same_version_the_first_by_name_is_meant(store: SqlStore) -> None:
    owners = ("carl", "bob", "dan")
    assert chosen(store, [environment(owner=owner, version=3, visibility=PUBLIC) for owner in owners]) == "bob 3"


def test_of_an_owner_s_shared_and_public_ones_the_latest_is_meant(store: SqlStore) -> None:
    versions = [
        environment(owner="bob", version=2, visibility=PUBLIC),
        environment(owner="bob", version=3, visibility=SHARED),
        environment(owner="bob", version=4, visibility=PRIVATE),
    ]
    assert chosen(store, versions, owner="bob") == "bob 3"


def oracle(candidates: list[Environment], reference: EnvironmentReference, *, user: str, sees_all: bool) -> str:
    """The same rule on a list of everything."""
    fitting = [each for each in candidates if reference.version in {None, each.version}]
    if reference.owner:
        fitting = [each for each in fitting if each.owner == reference.owner]
        fitting = [each for each in fitting if sees_all or each.owner == user or each.visibility is not PRIVATE]
    else:
        own = [each for each in fitting if each.owner == user]
        fitting = own or [each for each in fitting if each.visibility is PUBLIC]
    found = min(fitting, key=lambda each: (-each.version, each.owner), default=None)
    return f"{found.owner} {found.version}" if found else "none"


def test_every_reference_means_what_the_rule_says(store: SqlStore) -> None:
    visibilities = itertools.cycle((PRIVATE, SHARED, PRIVATE, PUBLIC, SHARED))
    candidates = [
        environment(owner=owner, version=version, visibility=next(visibilities))
        for owner, versions in {"alice": (1, 3), "bob": (1, 2, 4, 5), "carl": (2, 4, 7), "root": (4, 6)}.items()
        for version in versions
    ]
    store.change_deploy(recorded(*candidates))
    for user, owner, version, sees_all in itertools.product(
        ("alice", "bob", "eve", ""), ("", "alice", "bob", "carl", "nobody"), (None, 1, 2, 4, 9), (False, True)
    ):
        reference = EnvironmentReference(name="debian", owner=owner, version=version)
        asker = Asker(user=user, sees_all=sees_all)
        assert chosen_by(store, reference, asker) == oracle(candidates, reference, user=user, sees_all=sees_all)


def chosen_by(store: SqlStore, reference: EnvironmentReference, asker: Asker) -> str:
    try:
        found = store.read(lambda work: get_environment(reference, asker=asker, work=work))
    except EnvironmentNotFound:
        return "none"
    return f"{found.owner} {found.version}"


@contextmanager
def rows_read(connection: Connection) -> Iterator[list[int]]:
    """Yields a list that gets, after the block, how much the database read: rows on MariaDB, steps on SQLite."""
    read: list[int] = []
    if connection.dialect.name == "sqlite":
        driver = connection.connection.dbapi_connection
        steps = itertools.count()
        driver.set_progress_handler(lambda: next(steps) < 0, 1)  # type: ignore[union-attr]
        yield read
        driver.set_progress_handler(None, 1)  # type: ignore[union-attr]
        read.append(next(steps))
        return
    connection.exec_driver_sql("FLUSH STATUS")
    yield read
    found = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'").all()
    read.append(sum(int(value) for _, value in found))


WANTED = {
    "one's own": EnvironmentReference(name="debian"),
    "a public one": EnvironmentReference(name="popular"),
    "a shared one": EnvironmentReference(name="debian", owner="bob"),
    "a version": EnvironmentReference(name="debian", version=2, owner="bob"),
}


def cost(engine: Engine, reference: EnvironmentReference, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Returns what one lookup reads, and how many documents it takes apart."""
    documents = itertools.count()
    plain = documents_module.from_document

    def counted(*arguments: Any) -> Any:
        next(documents)
        return plain(*arguments)

    monkeypatch.setattr(environment_repository, "from_document", counted)
    with engine.connect() as connection:
        repository = EnvironmentRepository(connection)
        for _ in range(2):  # The first reads the schema, too.
            with rows_read(connection) as read:
                found = next(
                    found
                    for search in searches(reference, user="alice")
                    if (found := repository.find(reference.name, reference.version, search))
                )
        assert found.name == reference.name
    monkeypatch.undo()
    return read[0], next(documents) // 2


def test_a_lookup_reads_as_much_however_many_versions_others_have(
    store: SqlStore, engines: dict[str, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engines["deploy"]
    few = [
        environment(version=1),
        *(environment(owner="bob", version=version, visibility=SHARED) for version in (1, 2)),
        environment("popular", owner="root", visibility=PUBLIC),
    ]
    store.change_deploy(recorded(*few))
    before = {name: cost(engine, reference, monkeypatch) for name, reference in WANTED.items()}
    many = [
        environment(name, owner=owner, version=version, postinstalls=(archive(),) * 3)
        for name, owner, version in itertools.product(("debian", "popular"), ("bob", "carl", "eve"), range(3, 203))
    ]
    store.change_deploy(recorded(*many))
    with engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE" if engine.dialect.name == "sqlite" else "ANALYZE TABLE environments")
    after = {name: cost(engine, reference, monkeypatch) for name, reference in WANTED.items()}
    assert after == before


def test_what_a_user_has_is_counted_and_the_oldest_is_known(store: SqlStore) -> None:
    store.change_deploy(recorded(environment(version=2), environment(version=7), environment("other")))
    store.change_deploy(recorded(environment(owner="bob")))

    def counted(work: Any) -> tuple[int, int, int, str]:
        oldest = work.environments.oldest("alice", name="debian")
        counts = (work.environments.count("alice"), work.environments.count("alice", name="debian"))
        return (*counts, work.environments.count("nobody"), str(oldest))

    assert store.read(counted) == (3, 2, 0, "debian version 2 of alice")
    assert list(store.read(lambda work: work.environments.uids("debian", "alice"))) == [2, 7]


def test_a_search_is_made_in_the_order_of_the_rule() -> None:
    reference = EnvironmentReference(name="debian")
    assert searches(reference, user="alice") == (Search(owner="alice"), Search(visibilities=(PUBLIC,)))
    assert searches(reference, user="") == (Search(visibilities=(PUBLIC,)),)
