"""The queue before the one place of a waiting deployment."""

import time

import pytest

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.errors import AnotherDeploymentWaiting, InvalidDeployment
from kadeploy_deployer.domain.lease_record import LeaseKind
from kadeploy_deployer.domain.lifecycle import DeploymentTrigger
from kadeploy_deployer.domain.states import BusyPolicy
from kadeploy_deployer.ports.store_values import Created, NewDeployment, Queued
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore
from tests.fakes.deployment_world import new_deployment

pytestmark = pytest.mark.integration


def patient(name: str, node: str, *, ticket: int = 0, now: float | None = None, request_id: str = "") -> NewDeployment:
    """Returns a request that may wait for a minute."""
    return new_deployment(
        name,
        [node],
        busy_policy=BusyPolicy.WAIT,
        wait_timeout=60.0,
        ticket=ticket,
        now=time.time() if now is None else now,
        request_id=request_id,
    )


async def somebody_waits(store: SqlDeploymentStore) -> Lease:
    """Lets deployment "first" wait for a node that "holder" has, and returns the lease of "first"."""
    await store.create(new_deployment("holder", ["node1"]))
    created = await store.create(patient("first", "node1"))
    assert isinstance(created, Created)
    assert created.lease is not None
    return created.lease


async def queued(store: SqlDeploymentStore, new: NewDeployment) -> int:
    answer = await store.create(new)
    assert isinstance(answer, Queued)
    return answer.ticket


async def end(store: SqlDeploymentStore, lease: Lease) -> None:
    await store.end(lease, trigger=DeploymentTrigger.CANCELLED, description="", failures={}, now=time.time())


async def test_requests_get_their_turn_in_the_order_in_which_they_came(store: SqlDeploymentStore) -> None:
    first = await somebody_waits(store)
    tickets = [await queued(store, patient(f"d{number}", f"other{number}")) for number in range(3)]
    assert tickets == sorted(tickets)
    await end(store, first)

    assert [await store.is_next(ticket) for ticket in tickets] == [True, False, False]
    # Neither the second in the queue nor somebody who has only just come gets past the first.
    assert await queued(store, patient("d1", "other1", ticket=tickets[1])) == tickets[1]
    with pytest.raises(AnotherDeploymentWaiting, match="3 earlier requests came before"):
        await store.create(new_deployment("late", ["node9"]))
    for number, ticket in enumerate(tickets):
        assert isinstance(await store.create(patient(f"d{number}", f"other{number}", ticket=ticket)), Created)


async def test_who_is_refused_is_told_who_waits_and_how_many_came_before(store: SqlDeploymentStore) -> None:
    await somebody_waits(store)
    await queued(store, patient("second", "node2"))

    sentence = (
        r"deployment first of alice is waiting for its nodes, for \d+ s until now and for \d+ s more.*and 1 earlier"
    )
    with pytest.raises(AnotherDeploymentWaiting, match=sentence) as caught:
        await store.create(new_deployment("late", ["node3"]))

    told = caught.value.metadata
    assert (told["id"], told["owner"], told["ahead"]) == ("first", "alice", "1")
    # It waits for a minute in all.
    assert int(told["waited"]) + int(told["will_wait"]) >= 59


async def test_a_place_that_nobody_renews_holds_nobody_up(store: SqlDeploymentStore) -> None:
    first = await somebody_waits(store)
    dead = await queued(store, patient("dead", "node2"))
    alive = await queued(store, patient("alive", "node3"))
    seen = await store.list_leases()
    # The one that lives renews its place in time.
    assert await queued(store, patient("alive", "node3", ticket=alive)) == alive
    await end(store, first)

    assert not await store.is_next(alive)
    await store.free(seen)
    assert [lease.name for lease in await store.list_leases() if lease.kind is LeaseKind.QUEUE_PLACE] == [str(alive)]
    assert await store.is_next(alive)
    assert isinstance(await store.create(patient("alive", "node3", ticket=alive)), Created)
    # Whoever comes back after all stands where they stood.
    assert await store.is_next(dead)


async def test_a_request_made_again_with_its_id_finds_its_place_again(store: SqlDeploymentStore) -> None:
    await somebody_waits(store)
    ticket = await queued(store, patient("second", "node2", request_id="r-1"))
    await queued(store, patient("third", "node3", request_id="r-2"))

    assert await queued(store, patient("again", "node2", request_id="r-1")) == ticket


async def test_a_place_that_is_given_up_is_nobodys(store: SqlDeploymentStore) -> None:
    first = await somebody_waits(store)
    ticket = await queued(store, patient("second", "node2"))
    await store.leave_queue(ticket)
    await store.leave_queue(ticket)
    await end(store, first)

    assert isinstance(await store.create(new_deployment("late", ["node3"])), Created)


async def test_a_request_that_queues_lends_its_id_to_no_other(store: SqlDeploymentStore) -> None:
    first = await somebody_waits(store)
    ticket = await queued(store, patient("second", "node2", request_id="r-1"))
    other = new_deployment("other", ["node3"], wait_timeout=60.0, request_id="r-1", fingerprint="other")
    with pytest.raises(InvalidDeployment, match="request_id: was given to another request"):
        await store.create(other)
    await end(store, first)
    with pytest.raises(InvalidDeployment, match="request_id: was given to another request"):
        await store.create(other)
    assert isinstance(await store.create(patient("second", "node2", ticket=ticket, request_id="r-1")), Created)
    with pytest.raises(InvalidDeployment, match="request_id: was given to another request"):
        await store.create(other)
