"""Domain values through JSON and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadeploy_deployer.domain.events import PartitionStateChanged
from kadeploy_deployer.domain.facts import NodeFacts
from kadeploy_deployer.domain.snapshot import (
    ArchiveSnapshot,
    CommandSnapshot,
    DeploymentSpec,
    EnvironmentSnapshot,
    FileSnapshot,
    NodeSnapshot,
    ProfileSnapshot,
    StepPolicy,
)
from kadeploy_deployer.domain.states import BusyPolicy, FailureReason, RebootLevel
from kadeploy_deployer.store.codec import dumps, loads
from tests.fakes.deployment_world import environment, node

FILE = FileSnapshot(uri="file:///a", digest="sha256:1", size_bytes=1)
VALUES = [
    node("node1"),
    environment(),
    NodeFacts(deployment_token="a", system_token="b", host_keys=("k1", "k2")),
    DeploymentSpec(nodes="n", environment_name="é", busy_policy=BusyPolicy.WAIT, first_check_timeout=1.5),
    ProfileSnapshot(
        reboot_ladder=(RebootLevel.SOFT, RebootLevel.VERY_HARD),
        preinstall=ArchiveSnapshot(file=FILE, script="init"),
        step_policies={"copy": StepPolicy(timeout=1.0, retries=2)},
        mkfs_options={"ext4": "-F"},
    ),
    EnvironmentSnapshot(
        name="e", version=2, owner="o", image=FILE, postinstalls=(ArchiveSnapshot(file=FILE, script="s"),)
    ),
    CommandSnapshot(soft_reboot=("ssh", "{node}")),
    PartitionStateChanged(state=None, reason=FailureReason.BUSY, description="held"),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_unchanged(value: object) -> None:
    assert loads(type(value), dumps(value)) == value


@given(st.builds(NodeSnapshot), st.builds(ProfileSnapshot), st.builds(DeploymentSpec))
def test_any_value_comes_back_unchanged(machine: NodeSnapshot, profile: ProfileSnapshot, spec: DeploymentSpec) -> None:
    value: object
    for value in (machine, profile, spec):
        assert loads(type(value), dumps(value)) == value


def test_a_row_of_an_older_release_takes_the_defaults_and_of_a_newer_one_what_is_known() -> None:
    text = '{"deployment_token": "a", "system_token": "b", "invented_later": 1}'

    assert loads(NodeFacts, text) == NodeFacts(deployment_token="a", system_token="b")
