"""A database of the deployer whose file or content is damaged while it is in use."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kadeploy_deployer.domain.errors import StoreDamaged
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore
from tests.fakes.deployment_world import make_database, new_deployment


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda path: os.truncate(path, 0), "emptied while it was in use"),
        (Path.unlink, "removed while it was in use"),
    ],
    ids=["emptied", "removed"],
)
async def test_nothing_is_acknowledged_that_a_lost_file_would_take_with_it(
    tmp_path: Path, harm: Callable[[Path], None], said: str
) -> None:
    database = make_database(tmp_path)
    store = SqlDeploymentStore(database)
    await store.create(new_deployment("one", ["node1"]))
    harm(tmp_path / "deployer.sqlite")
    with pytest.raises(StoreDamaged, match=said):
        await store.create(new_deployment("two", ["node2"]))
    with pytest.raises(StoreDamaged, match=said):
        await store.get("one")
    database.close()


async def test_a_document_that_cannot_be_read_is_damage(tmp_path: Path) -> None:
    database = make_database(tmp_path)
    store = SqlDeploymentStore(database)
    await store.create(new_deployment("one", ["node1"]))
    await database.write(lambda c: c.exec_driver_sql("UPDATE deployment_inputs SET spec = 'x' || spec"))
    with pytest.raises(StoreDamaged, match="a document in a row cannot be read"):
        await store.get("one")
    database.close()
