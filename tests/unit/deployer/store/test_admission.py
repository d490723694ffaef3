"""Who may create a deployment, and who stands behind whom."""

import time

import pytest

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.domain.errors import AnotherDeploymentWaiting, InvalidDeployment, NoNodeLeft
from kadeploy_deployer.domain.lease_record import LeaseKind
from kadeploy_deployer.domain.lifecycle import DeploymentTrigger
from kadeploy_deployer.domain.states import BusyPolicy, DeploymentState
from kadeploy_deployer.ports.store_values import Created, Ending, NewDeployment, Queued
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore
from tests.fakes.deployment_world import new_deployment

pytestmark = pytest.mark.integration


def patient(name: str, *nodes: str, ticket: int = 0, now: float | None = None, request_id: str = "") -> NewDeployment:
    """Returns a request that may wait for a minute."""
    return new_deployment(
        name,
        nodes,
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
    await store.end(lease, Ending(trigger=DeploymentTrigger.CANCELLED, description="", failures={}), now=time.time())


async def test_a_request_whose_nodes_are_free_stands_behind_nobody(store: SqlDeploymentStore) -> None:
    await somebody_waits(store)
    await queued(store, patient("second", "node1"))

    for policy in BusyPolicy:
        created = await store.create(new_deployment(f"free-{policy}", [f"other-{policy}"], busy_policy=policy))
        assert isinstance(created, Created)
        assert (await store.get(created.deployment_id)).state is DeploymentState.DEPLOYING
    assert isinstance(await store.create(patient("patient", "node9")), Created)


async def test_the_order_of_arrival_holds_per_node(store: SqlDeploymentStore) -> None:
    first = await somebody_waits(store)
    both = await queued(store, patient("both", "node1", "node2"))
    behind = await queued(store, patient("behind", "node2"))
    last = await queued(store, patient("last", "node1"))
    # node2 is free, but somebody earlier claims it, who waits for node1.
    assert [await store.is_next(ticket) for ticket in (both, behind, last)] == [False, False, False]
    assert await queued(store, patient("behind", "node2", ticket=behind)) == behind

    await end(store, first)
    assert [await store.is_next(ticket) for ticket in (both, behind, last)] == [True, False, False]
    created = await store.create(patient("both", "node1", "node2", ticket=both))
    assert isinstance(created, Created)
    # "holder" has node1 still: now this one waits, for both.
    assert (await store.get("both")).state is DeploymentState.WAITING
    assert [await store.is_next(ticket) for ticket in (behind, last)] == [False, False]
    assert created.lease is not None
    await end(store, created.lease)

    # Nobody claims node2 any more, and it is free; node1 is not.
    assert isinstance(await store.create(patient("behind", "node2", ticket=behind)), Created)
    assert (await store.get("behind")).state is DeploymentState.DEPLOYING
    assert await store.is_next(last)


async def test_one_further_back_whose_nodes_have_become_free_begins(store: SqlDeploymentStore) -> None:
    await somebody_waits(store)
    other = await store.create(new_deployment("other", ["node2"]))
    assert isinstance(other, Created)
    assert other.lease is not None
    tickets = [await queued(store, patient("second", "node1")), await queued(store, patient("third", "node2"))]
    assert [await store.is_next(ticket) for ticket in tickets] == [False, False]

    await store.end(
        other.lease, Ending(trigger=DeploymentTrigger.CANCELLED, description="", failures={}), now=time.time()
    )

    assert [await store.is_next(ticket) for ticket in tickets] == [False, True]
    assert isinstance(await store.create(patient("third", "node2", ticket=tickets[1])), Created)
    assert (await store.get("third")).state is DeploymentState.DEPLOYING


async def test_claimed_nodes_are_left_out_like_busy_ones(store: SqlDeploymentStore) -> None:
    await store.create(new_deployment("holder", ["node1"]))
    await store.create(patient("first", "node1", "node2"))
    await queued(store, patient("second", "node1", "node3"))

    await store.create(new_deployment("late", ["node2", "node3", "node4"], busy_policy=BusyPolicy.EXCLUDE))

    nodes = {node.node: node for node in (await store.get("late")).nodes}
    reasons = {name: node.description for name, node in nodes.items() if not node.included}
    assert reasons == {
        "node2": "claimed by deployment first of alice, which waits for it",
        "node3": "claimed by an earlier request of alice",
    }
    with pytest.raises(NoNodeLeft, match="node2: claimed by deployment first of alice"):
        await store.create(new_deployment("later", ["node2"], busy_policy=BusyPolicy.EXCLUDE))


async def test_who_is_refused_learns_who_waits_and_how_many_queue(store: SqlDeploymentStore) -> None:
    await store.create(new_deployment("holder", ["node1"]))
    await store.create(patient("first", "node1", "node2"))
    await queued(store, patient("second", "node2"))

    sentence = (
        r"others come first on node2: deployment first of alice is waiting for its nodes, for \d+ s until now and for "
        r"\d+ s more.*and 1 earlier"
    )
    with pytest.raises(AnotherDeploymentWaiting, match=sentence) as caught:
        await store.create(new_deployment("late", ["node2", "node9"], busy_policy=BusyPolicy.FAIL))

    said = caught.value.metadata
    assert (said["id"], said["owner"], said["nodes"], said["ahead"]) == ("first", "alice", "node2", "1")
    # It waits for a minute in all.
    assert int(said["waited"]) + int(said["will_wait"]) >= 59


async def test_a_place_that_nobody_renews_holds_nobody_up(store: SqlDeploymentStore) -> None:
    first = await somebody_waits(store)
    dead = await queued(store, patient("dead", "node1", "node2"))
    alive = await queued(store, patient("alive", "node2"))
    seen = await store.list_leases()
    # The one that lives renews its place in time.
    assert await queued(store, patient("alive", "node2", ticket=alive)) == alive

    assert not await store.is_next(alive)
    await store.free(seen)
    assert [lease.name for lease in await store.list_leases() if lease.kind is LeaseKind.QUEUE_PLACE] == [str(alive)]
    assert await store.is_next(alive)
    assert isinstance(await store.create(patient("alive", "node2", ticket=alive)), Created)
    # Whoever comes back after all stands where they stood.
    assert await queued(store, patient("dead", "node1", "node2", ticket=dead)) == dead
    await end(store, first)
    assert await store.is_next(dead)


async def test_a_request_made_again_with_its_id_finds_its_place_again(store: SqlDeploymentStore) -> None:
    await somebody_waits(store)
    ticket = await queued(store, patient("second", "node1", request_id="r-1"))
    await queued(store, patient("third", "node1", request_id="r-2"))

    assert await queued(store, patient("again", "node1", request_id="r-1")) == ticket


async def test_a_place_that_is_given_up_is_nobodys(store: SqlDeploymentStore) -> None:
    await somebody_waits(store)
    ticket = await queued(store, patient("second", "node1", "node2"))
    await store.leave_queue(ticket)
    await store.leave_queue(ticket)

    assert isinstance(await store.create(new_deployment("late", ["node2"], busy_policy=BusyPolicy.FAIL)), Created)


async def test_a_request_that_queues_lends_its_id_to_no_other(store: SqlDeploymentStore) -> None:
    first = await somebody_waits(store)
    ticket = await queued(store, patient("second", "node1", request_id="r-1"))
    other = new_deployment("other", ["node3"], wait_timeout=60.0, request_id="r-1", fingerprint="other")
    with pytest.raises(InvalidDeployment, match="request_id: was given to another request"):
        await store.create(other)
    await end(store, first)
    with pytest.raises(InvalidDeployment, match="request_id: was given to another request"):
        await store.create(other)
    assert isinstance(await store.create(patient("second", "node1", ticket=ticket, request_id="r-1")), Created)
    with pytest.raises(InvalidDeployment, match="request_id: was given to another request"):
        await store.create(other)
