"""Operations on each engine: of rivals one drives and each node has one holder; a killed deployer's go on elsewhere."""

import asyncio
import signal
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from kadeploy_deployer.domain.errors import NodesBusy
from kadeploy_deployer.domain.lease_record import LeaseKind
from kadeploy_deployer.domain.operation import Operation, OperationSpec, PowerSpec
from kadeploy_deployer.domain.states import BusyPolicy, FailureReason, OperationKind, PowerAction
from kadeploy_deployer.ports.console_store import ConsoleSession
from kadeploy_deployer.ports.store_values import Created, Interval, NewDeployment, Queued
from kadeploy_deployer.store.consoles import SqlConsoleStore
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore
from tests.fakes import dying_operator
from tests.fakes.deployment_world import SPEC, World, new_deployment
from tests.fakes.mortal_deployer import LaterClock
from tests.fakes.scripted_step import straight_plan

pytestmark = pytest.mark.integration

NAMES = [f"node{number}" for number in range(50)]
SECONDS = 30.0


def new_operation(name: str, nodes: list[str], *, request_id: str = "") -> NewDeployment:
    spec = OperationSpec(kind=OperationKind.POWER, nodes=",".join(nodes), power=PowerSpec(action=PowerAction.CYCLE))
    return replace(new_deployment(f"op-{name}", nodes, request_id=request_id), spec=spec, environment=None)


def made(answer: Created | Queued) -> Operation:
    assert isinstance(answer, Created)
    assert isinstance(answer.deployment, Operation)
    return answer.deployment


def taken(operation: Operation) -> list[str]:
    return [node.node for node in operation.nodes if node.included]


async def test_of_rivals_for_one_request_exactly_one_drives_it(url: URL) -> None:
    databases = [Database(url) for _ in range(4)]
    stores = [SqlDeploymentStore(one) for one in databases]
    calls = (store.create(new_operation(str(i), NAMES, request_id="r-1")) for i, store in enumerate(stores))
    found = [answer for answer in await asyncio.gather(*calls) if isinstance(answer, Created)]
    assert [one.lease is not None for one in found].count(True) == 1
    assert len({one.deployment_id for one in found}) == 1
    for one in databases:
        one.close()


async def test_of_rival_operations_exactly_one_gets_each_node(url: URL) -> None:
    databases = [Database(url) for _ in range(4)]
    stores = [SqlDeploymentStore(one) for one in databases]
    answers = await asyncio.gather(*(store.create(new_operation(str(i), NAMES)) for i, store in enumerate(stores)))
    won = Counter(node for answer in answers for node in taken(made(answer)))
    assert won == dict.fromkeys(NAMES, 1)
    for one in databases:
        one.close()


async def test_a_deployment_and_an_operation_exclude_each_other(store: SqlDeploymentStore) -> None:
    assert taken(made(await store.create(new_operation("a", ["node1"])))) == ["node1"]
    with pytest.raises(NodesBusy, match=r"node1 \(operation op-a\)"):
        await store.create(new_deployment("d-1", ["node1"], busy_policy=BusyPolicy.FAIL))
    await store.create(new_deployment("d-2", ["node2"]))
    busy = made(await store.create(new_operation("b", ["node2"])))
    assert [(one.reason, one.description) for one in busy.nodes] == [
        (FailureReason.BUSY, "node2 is held by deployment d-2")
    ]


async def test_an_operation_takes_no_node_that_somebody_before_it_waits_for(store: SqlDeploymentStore) -> None:
    await store.create(new_deployment("d-1", ["node1"]))
    waits = new_deployment("d-2", ["node1", "node2"], busy_policy=BusyPolicy.WAIT, wait_timeout=60.0)
    await store.create(waits)
    await store.create(
        new_deployment("d-3", ["node2", "node3"], busy_policy=BusyPolicy.WAIT, wait_timeout=60.0, owner="bob")
    )
    found = made(await store.create(new_operation("a", ["node2", "node3", "node4"])))
    assert taken(found) == ["node4"]
    assert [one.description for one in found.nodes if not one.included] == [
        "node2 is claimed by deployment d-2 of alice, which waits for it",
        "node3 is claimed by an earlier request of bob",
    ]


async def test_a_console_has_one_user_who_keeps_it_while_somebody_renews_it(
    database: Database, store: SqlDeploymentStore
) -> None:
    consoles = SqlConsoleStore(database)
    first, second = (
        ConsoleSession(id=f"op-{owner}", node="node1", owner=owner, lease_seconds=30.0, now=1.0)
        for owner in ("alice", "bob")
    )
    assert await consoles.take(first) == ""
    assert await consoles.take(second) == "alice"
    seen = await store.list_leases()
    assert [(lease.kind, lease.name) for lease in seen] == [(LeaseKind.CONSOLE, "op-alice")]
    assert await consoles.renew("op-alice")
    await store.free(seen)
    assert await consoles.take(second) == "alice"
    await store.free(await store.list_leases())
    assert not await consoles.renew("op-alice")
    assert await consoles.take(second) == ""
    await consoles.release("op-alice")
    assert await consoles.take(first) == "bob"
    await consoles.release("op-bob")
    assert await consoles.take(first) == ""


async def test_what_a_deployment_left_is_known_with_its_environment_and_facts(database: Database) -> None:
    world = World(database=database, plan=straight_plan())
    deployment = await world.run(SPEC)
    known = await world.store.knowledge(["node1", "node2", "node3"])
    (system,) = known["node2"].systems
    assert (system.device, system.partition, system.deployment_id) == ("vda", 3, deployment.id)
    assert (system.environment, system.spec) == (deployment.environment, deployment.spec)
    assert (known["node3"].host_keys, known["node3"].systems) == ((), ())
    await world.supervisor.close()


async def test_operations_go_from_the_history_and_deployments_stay(database: Database) -> None:
    world = World(database=database, plan=straight_plan())
    deployment = await world.run(SPEC)
    await world.store.create(new_operation("runs", ["node5"]))
    assert not await world.store.drop_operations(before=1e12)
    statistics = await world.store.statistics(Interval(), [])
    assert [one.deployments for one in statistics.months] == [1]
    assert (await world.store.get(deployment.id)).id == deployment.id
    await world.supervisor.close()


async def test_a_reboot_whose_deployer_was_killed_goes_on_and_reboots_no_node_twice(url: URL, tmp_path: Path) -> None:
    text = url.render_as_string(hide_password=False)
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fakes.dying_operator", text, str(tmp_path), stdin=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(60):
        assert await killed.wait() == -signal.SIGKILL
    cuts = tmp_path / "cuts"
    assert sorted(cuts.read_text().split()) == ["node-1", "node-2"]

    # Nobody renews the dead one's lease; its caller asks another deployer, and then once more.
    for _ in range(2):
        async with asyncio.timeout(60):
            found = await dying_operator.reboot(text, tmp_path, LaterClock())
        assert found == {"node-1": "", "node-2": "OUTCOME_UNKNOWN", "node-3": ""}
    assert sorted(cuts.read_text().split()) == ["node-1", "node-2", "node-3"]
