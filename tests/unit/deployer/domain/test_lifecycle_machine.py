"""Deployments of a few nodes through any order of events: what the tables allow keeps the promises."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kadeploy_deployer.domain.deployment import NodeDeployment, verdict
from kadeploy_deployer.domain.errors import IllegalTransition
from kadeploy_deployer.domain.lifecycle import (
    ENTERS,
    FINISHED,
    DeploymentTrigger,
    PartitionTrigger,
    advance_deployment,
    advance_partition,
)
from kadeploy_deployer.domain.states import DeploymentState, PartitionState

STATES = (PartitionState.TO_DEPLOY, PartitionState.DEPLOYING, PartitionState.REBOOTING)
BAD = {
    DeploymentTrigger.CANCELLED: PartitionTrigger.CANCEL,
    DeploymentTrigger.LOST: PartitionTrigger.LOSE,
}


class Lifecycle(RuleBasedStateMachine):
    """One deployment, driven as the runner drives it, with failures, cancellations and losses at any moment."""

    @initialize(nodes=st.integers(min_value=1, max_value=4))
    def begins(self, nodes: int) -> None:
        self.state = DeploymentState.WAITING
        self.partitions = dict.fromkeys(range(nodes), PartitionState.TO_DEPLOY)
        self.written: set[int] = set()
        self.rebooted: set[int] = set()
        self.failed: set[int] = set()
        self.final: tuple[DeploymentState, dict[int, PartitionState]] | None = None

    def active(self) -> list[int]:
        return [node for node, state in self.partitions.items() if state in STATES]

    @precondition(lambda self: self.state is DeploymentState.WAITING)
    @rule()
    def gets_its_nodes(self) -> None:
        self.state = advance_deployment(self.state, DeploymentTrigger.NODES_LOCKED)

    @precondition(lambda self: self.state is DeploymentState.DEPLOYING and self.active())
    @rule()
    def enters_the_next_kind_of_step(self) -> None:
        where = {self.partitions[node] for node in self.active()}
        (state,) = where
        following = STATES[min(STATES.index(state) + 1, len(STATES) - 1)]
        for node in self.active():
            self.partitions[node] = advance_partition(state, ENTERS[following])
            (self.written if following is PartitionState.DEPLOYING else self.rebooted).add(node)

    @precondition(lambda self: self.state is DeploymentState.DEPLOYING and self.active())
    @rule(data=st.data())
    def a_node_fails(self, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from(self.active()))
        self.partitions[node] = advance_partition(self.partitions[node], PartitionTrigger.FAIL)
        self.failed.add(node)

    @precondition(
        lambda self: (
            self.state is DeploymentState.DEPLOYING
            and any(state is PartitionState.REBOOTING for state in self.partitions.values())
        )
    )
    @rule()
    def the_others_are_seen(self) -> None:
        for node in self.active():
            self.partitions[node] = advance_partition(self.partitions[node], PartitionTrigger.SEEN)

    @precondition(lambda self: self.state not in FINISHED)
    @rule(trigger=st.sampled_from(sorted(BAD)))
    def is_cancelled_or_lost(self, trigger: DeploymentTrigger) -> None:
        for node in self.active():
            self.partitions[node] = advance_partition(self.partitions[node], BAD[trigger])
            self.failed.add(node)
        self.state = advance_deployment(self.state, trigger)

    @precondition(lambda self: self.state is DeploymentState.DEPLOYING and not self.active())
    @rule()
    def ends(self) -> None:
        nodes = [
            NodeDeployment(node=str(node), state=state, device="vda", partition=3)
            for node, state in self.partitions.items()
        ]
        good, _ = verdict(nodes)
        trigger = DeploymentTrigger.ALL_DEPLOYED if good else DeploymentTrigger.SOME_FAILED
        self.state = advance_deployment(self.state, trigger)

    @precondition(lambda self: self.state in FINISHED)
    @rule(trigger=st.sampled_from(DeploymentTrigger))
    def nothing_can_happen_to_it_any_more(self, trigger: DeploymentTrigger) -> None:
        with pytest.raises(IllegalTransition):
            advance_deployment(self.state, trigger)

    @invariant()
    def a_deployed_node_was_written_rebooted_and_never_failed(self) -> None:
        deployed = {node for node, state in self.partitions.items() if state is PartitionState.DEPLOYED}
        assert deployed <= self.written & self.rebooted - self.failed

    @invariant()
    def a_failed_node_stays_failed(self) -> None:
        assert {self.partitions[node] for node in self.failed} <= {PartitionState.ERROR}

    @invariant()
    def terminated_means_that_all_were_deployed(self) -> None:
        if self.state is DeploymentState.TERMINATED:
            assert set(self.partitions.values()) == {PartitionState.DEPLOYED}

    @invariant()
    def what_is_finished_never_changes(self) -> None:
        now = (self.state, dict(self.partitions))
        assert self.final in (None, now)
        if self.state in FINISHED:
            assert not self.active()
            self.final = now


TestLifecycle = Lifecycle.TestCase
TestLifecycle.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)
