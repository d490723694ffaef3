"""What steps printed, on each engine: the last 64 KiB of each node, step and attempt, in the order in which it came."""

from typing import Any

import pytest

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.ports import LAST_OUTPUT_BYTES
from kadeploy_deployer.ports.journal_entries import OutputEntry
from kadeploy_deployer.ports.store_values import StoredOutput
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore
from tests.fakes.deployment_world import new_deployment

pytestmark = pytest.mark.integration


async def lease_of(store: SqlDeploymentStore) -> Lease:
    created: Any = await store.create(new_deployment("d-1", ["node1", "node2"]))
    lease: Lease = created.lease
    return lease


def printed(text: str, *, node: str = "node1", step: str = "postinstall", attempt: int = 1) -> OutputEntry:
    return OutputEntry(node=node, step=step, attempt=attempt, text=text)


async def test_pieces_are_joined_and_each_node_step_and_attempt_has_its_own(store: SqlDeploymentStore) -> None:
    lease = await lease_of(store)
    await store.write(lease, [printed("a"), printed("b", node="node2"), printed("c", step="preinstall")], now=1.0)
    await store.write(lease, [printed("d"), printed("e", attempt=2)], now=2.0)

    found = await store.outputs("d-1", "node1", "")
    assert sorted((one.step, one.attempt, one.text, one.truncated) for one in found) == [
        ("postinstall", 1, "ad", False),
        ("postinstall", 2, "e", False),
        ("preinstall", 1, "c", False),
    ]
    assert [one.text for one in await store.outputs("d-1", "node2", "postinstall")] == ["b"]


async def test_the_end_is_kept_and_it_is_said_that_the_beginning_is_not(store: SqlDeploymentStore) -> None:
    lease = await lease_of(store)
    half = LAST_OUTPUT_BYTES * 3 // 4
    await store.write(lease, [printed("x" * half), printed("y" * half)], now=1.0)
    await store.write(lease, [printed("z")], now=2.0)

    kept = "x" * (LAST_OUTPUT_BYTES - half - 1) + "y" * half + "z"
    expected = StoredOutput(step="postinstall", attempt=1, text=kept, truncated=True)
    assert list(await store.outputs("d-1", "node1", "postinstall")) == [expected]


async def test_letters_of_many_bytes_are_counted_in_bytes_and_not_cut_in_two(store: SqlDeploymentStore) -> None:
    lease = await lease_of(store)
    await store.write(lease, [printed("€" * LAST_OUTPUT_BYTES)], now=1.0)

    (output,) = await store.outputs("d-1", "node1", "postinstall")
    assert (set(output.text), output.truncated) == ({"€"}, True)
    assert LAST_OUTPUT_BYTES - 3 < len(output.text.encode()) <= LAST_OUTPUT_BYTES
