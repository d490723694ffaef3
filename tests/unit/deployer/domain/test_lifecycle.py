"""The lifecycle tables, walked."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadeploy_deployer.domain import lifecycle
from kadeploy_deployer.domain.errors import IllegalTransition
from kadeploy_deployer.domain.lifecycle import (
    DEPLOYMENT,
    ENTERS,
    FINISHED,
    OPERATION_NODE,
    PARTITION,
    UNFINISHED,
    DeploymentTrigger,
    PartitionTrigger,
)
from kadeploy_deployer.domain.states import DeploymentState, OperationNodeState, PartitionState
from kadeploy_deployer.steps.plan import PLAN

Table = Mapping[Any, StrEnum]
DOCUMENT = Path(__file__).parents[4] / "docs" / "lifecycle.md"
BAD_ENDS = (PartitionTrigger.FAIL, PartitionTrigger.CANCEL, PartitionTrigger.LOSE)


def reachable(table: Table) -> set[StrEnum]:
    found: set[StrEnum] = {next(iter(table))[0]}
    while True:
        more = {target for (state, _), target in table.items() if state in found} - found
        if not more:
            return found
        found |= more


def test_every_state_can_be_reached_from_the_first() -> None:
    assert reachable(DEPLOYMENT) == set(DeploymentState)
    assert reachable(PARTITION) == set(PartitionState)
    assert reachable(OPERATION_NODE) == set(OperationNodeState)


def test_finished_states_are_those_without_a_way_out() -> None:
    assert {DeploymentState.TERMINATED, DeploymentState.ERROR} == FINISHED
    assert {DeploymentState.WAITING, DeploymentState.DEPLOYING} == UNFINISHED


@pytest.mark.parametrize("state", sorted(UNFINISHED))
def test_an_unfinished_deployment_can_be_cancelled_and_lost(state: DeploymentState) -> None:
    for trigger in (DeploymentTrigger.CANCELLED, DeploymentTrigger.LOST):
        assert lifecycle.advance_deployment(state, trigger) is DeploymentState.ERROR


@pytest.mark.parametrize("state", sorted({state for state, _ in PARTITION}))
def test_an_unfinished_partition_can_fail_be_cancelled_and_lost(state: PartitionState) -> None:
    assert {lifecycle.advance_partition(state, trigger) for trigger in BAD_ENDS} == {PartitionState.ERROR}


@pytest.mark.parametrize("state", sorted({state for state, _ in OPERATION_NODE}))
def test_a_node_of_an_operation_can_fail_be_cancelled_and_lost(state: OperationNodeState) -> None:
    assert {lifecycle.advance_node(state, trigger) for trigger in BAD_ENDS} == {OperationNodeState.ERROR}


def test_what_the_table_does_not_have_is_refused() -> None:
    with pytest.raises(IllegalTransition):
        lifecycle.advance_deployment(DeploymentState.TERMINATED, DeploymentTrigger.CANCELLED)
    with pytest.raises(IllegalTransition):
        lifecycle.advance_partition(PartitionState.TO_DEPLOY, PartitionTrigger.SEEN)


@given(st.lists(st.sampled_from(list(PartitionTrigger)), max_size=30))
def test_no_partition_is_deployed_that_was_not_written_and_rebooted_or_that_failed(
    triggers: list[PartitionTrigger],
) -> None:
    state, history = PartitionState.TO_DEPLOY, []
    for trigger in triggers:
        try:
            state = lifecycle.advance_partition(state, trigger)
        except IllegalTransition:
            continue
        history.append(trigger)
    if state is PartitionState.DEPLOYED:
        assert PartitionTrigger.WRITE in history
        assert history[-2:] == [PartitionTrigger.REBOOT, PartitionTrigger.SEEN]
        assert not set(history) & set(BAD_ENDS)
    if set(history) & set(BAD_ENDS):
        assert state is PartitionState.ERROR


def test_the_real_plan_leads_through_the_table_to_a_deployed_node() -> None:
    state = PartitionState.TO_DEPLOY
    for step in PLAN:
        state = lifecycle.advance_partition(state, ENTERS[step.partition_state])

    assert lifecycle.advance_partition(state, PartitionTrigger.SEEN) is PartitionState.DEPLOYED


def test_names_of_steps_are_unique() -> None:
    names = [step.name for step in PLAN]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("table", [DEPLOYMENT, PARTITION, OPERATION_NODE])
def test_the_document_shows_the_diagrams_of_the_tables(table: Table) -> None:
    assert f"```mermaid\n{lifecycle.mermaid(table)}\n```" in DOCUMENT.read_text(encoding="utf-8")


def test_the_document_explains_every_trigger() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")

    assert [trigger for trigger in (*DeploymentTrigger, *PartitionTrigger) if f"| `{trigger}` |" not in text] == []
