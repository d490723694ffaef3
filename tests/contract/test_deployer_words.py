"""Every word of the deployer's domain has its value in the contract, and the other way round."""

from enum import StrEnum
from typing import Any

import pytest

from kadeploy.deployer.v1 import deployment_pb2
from kadeploy_deployer.domain.states import BootMethod, BusyPolicy, DeploymentState, FailureReason, PartitionState


@pytest.mark.parametrize(
    ("words", "contract", "prefix"),
    [
        (FailureReason, deployment_pb2.FailureReason, "FAILURE_REASON"),
        (DeploymentState, deployment_pb2.DeploymentState, "DEPLOYMENT_STATE"),
        (PartitionState, deployment_pb2.PartitionState, "PARTITION_STATE"),
        (BusyPolicy, deployment_pb2.BusyPolicy, "BUSY_POLICY"),
        (BootMethod, deployment_pb2.BootMethod, "BOOT_METHOD"),
    ],
)
def test_a_word_is_a_value_and_a_value_a_word(words: type[StrEnum], contract: Any, prefix: str) -> None:
    said = {f"{prefix}_{word.value.upper()}" for word in words}
    assert said | {f"{prefix}_UNSPECIFIED"} == set(contract.keys())
