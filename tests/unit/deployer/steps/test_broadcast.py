"""Copying the image: what is sent, and what becomes of each node."""

import pytest

from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.ports import BroadcastSink
from kadeploy_deployer.steps.broadcast import COPY_IMAGE as STEP
from tests.fakes import snapshots
from tests.fakes.step_workshop import TARGET, Workshop, failure, outcome


async def test_every_node_receives_the_image_in_the_order_of_addresses(workshop: Workshop) -> None:
    names = ("node-10", "node-9", "node-2")
    context = workshop.context(*names)
    assert await STEP.run(context, list(names)) == dict.fromkeys(names)
    [(name, digest, targets)] = workshop.broadcast.sent
    assert (name, digest) == (workshop.image.uri, workshop.image.digest)
    assert workshop.images.users == ["alice"]
    assert [target.host.name for target in targets] == ["node-2", "node-9", "node-10"]
    assert {target.sink for target in targets} == {BroadcastSink(kind="tar", compression="zstd", target="/mnt/dest")}
    assert {facts.image_digest for facts in context.facts.values()} == {workshop.image.digest}
    assert ("node-2", "broadcast", 8, 8) in workshop.recorder.steps


async def test_nodes_are_told_in_the_order_in_which_they_were_complete(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def a_second_later(*_: object) -> None:
        workshop.clock.time += 1

    monkeypatch.setattr(workshop.recorder, "progress", a_second_later)
    names = ["node-9", "node-2"]
    assert await STEP.run(workshop.context(*names), names) == dict.fromkeys(names)
    assert workshop.recorder.ends == [("node-2", None), ("node-9", None)]


async def test_a_raw_image_goes_to_the_partition(workshop: Workshop) -> None:
    environment = snapshots.an_environment(workshop.image, kind="dd")
    assert await outcome(STEP, workshop.context(environment=environment)) is None
    [(_, _, targets)] = workshop.broadcast.sent
    assert targets[0].sink.target == TARGET


async def test_a_node_that_received_something_else_fails_alone(workshop: Workshop) -> None:
    broken = Failure(reason=FailureReason.DIGEST_MISMATCH, description="node-1 received something else")
    workshop.broadcast.failures["node-1"] = broken
    outcomes = await STEP.run(workshop.context("node-1", "node-2"), ["node-1", "node-2"])
    assert outcomes == {"node-1": broken, "node-2": None}


async def test_an_image_that_is_not_there_fails_all_and_is_not_tried_again(workshop: Workshop) -> None:
    workshop.images.broken[workshop.image.uri] = "file:///images/debian.tar.zst is not there"
    failed = await failure(STEP, workshop.context())
    assert failed.reason is FailureReason.TRANSFER_FAILED
    assert failed.description == "file:///images/debian.tar.zst is not there"
    assert not failed.retriable
    assert workshop.broadcast.sent == []


async def test_an_image_that_changed_is_told(workshop: Workshop) -> None:
    workshop.images.paths[workshop.image.uri].write_bytes(b"changed")
    failed = await failure(STEP, workshop.context())
    assert failed.reason is FailureReason.DIGEST_MISMATCH
    assert not failed.retriable
    environment = workshop.context().environment
    assert failed.description.startswith(
        f"`ka environment update {environment.name} --env-version {environment.version} "
        f"--owner {environment.owner} --accept-digest` accepts that "
    )
    assert workshop.image.digest in failed.description
