"""The deployer's log: a line for begin and end of each deployment, one for each failed node."""

import logging
import re

import pytest

from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import FailureReason
from tests.fakes.scripted_step import ScriptedStep
from tests.integration.deployer.conftest import Site
from tests.integration.deployer.test_deployments import request, watch

pytestmark = pytest.mark.integration

LOGGER = "kadeploy_deployer.engine.activity_log"


async def test_begin_failed_node_and_end_have_one_line_each(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    broken = Failure(reason=FailureReason.FORMAT_FAILED, description="mkfs.ext4: exit 1")
    site.plan[1] = ScriptedStep("write", answers={"node1": [broken]})
    with caplog.at_level(logging.INFO, LOGGER):
        created = await site.deployments("alice").CreateDeployment(
            request(), metadata=(("kadeploy-request-id", "job-4711"),)
        )
        await watch(site, created.id)
        await site.deployments("alice").GetDeployment(deployer_service_pb2.GetDeploymentRequest(id=created.id))
    begins, failed, ends = [each.getMessage() for each in caplog.records if each.name == LOGGER]
    expected = (
        f"deployment={created.id} kind=deployment state=deploying owner=alice nodes=2 fence=1 request_id=job-4711 "
    )
    assert begins == f"{expected}begins"
    assert re.fullmatch(
        rf"deployment={created.id} node=node1 step=write reason=format_failed seconds=\d+\.\d failed: .*mkfs.ext4.*",
        failed,
    )
    assert re.fullmatch(
        rf"deployment={created.id} kind=deployment outcome=some_failed failed=1 seconds=\d+\.\d ends: .*", ends
    )
