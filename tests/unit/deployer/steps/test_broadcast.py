"""Copying the image: what is sent, and what becomes of each node."""

from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.domain.vocabulary import Compression, ImageKind
from kadeploy_deployer.ports import BroadcastSink
from kadeploy_deployer.steps.broadcast import COPY_IMAGE as STEP
from tests.fakes import snapshots
from tests.fakes.step_workshop import TARGET, Workshop, failure, outcome, outcomes


async def test_every_node_receives_the_image_in_one_session(workshop: Workshop) -> None:
    names = ("node-10", "node-9", "node-2")
    context = workshop.context(*names)
    assert await outcomes(STEP, context, *names) == dict.fromkeys(names)
    [(name, digest, targets)] = workshop.broadcast.sent
    assert (name, digest) == (workshop.image.uri, workshop.image.digest)
    assert workshop.images.users == ["alice"]
    assert [target.host.name for target in targets] == list(names)
    assert {target.sink for target in targets} == {
        BroadcastSink(kind=ImageKind.TAR, compression=Compression.ZSTD, target="/mnt/dest")
    }
    assert {facts.image_digest for facts in context.facts.values()} == {workshop.image.digest}
    assert ("node-2", "broadcast", 8, 8) in workshop.recorder.steps


async def test_a_node_that_comes_when_the_others_have_gone_gets_a_session_of_its_own(workshop: Workshop) -> None:
    context = workshop.context("node-1", "node-2")
    assert await outcome(STEP, context, "node-1") is None
    assert await outcome(STEP, context, "node-2") is None
    assert [[target.host.name for target in targets] for _, _, targets in workshop.broadcast.sent] == [
        ["node-1"],
        ["node-2"],
    ]


async def test_a_raw_image_goes_to_the_partition(workshop: Workshop) -> None:
    environment = snapshots.an_environment(workshop.image, kind=ImageKind.DD)
    assert await outcome(STEP, workshop.context(environment=environment)) is None
    [(_, _, targets)] = workshop.broadcast.sent
    assert targets[0].sink.target == TARGET


async def test_a_node_that_received_something_else_fails_alone(workshop: Workshop) -> None:
    broken = Failure(reason=FailureReason.DIGEST_MISMATCH, description="node-1 received something else")
    workshop.broadcast.failures["node-1"] = broken
    found = await outcomes(STEP, workshop.context("node-1", "node-2"))
    assert found == {"node-1": broken, "node-2": None}


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
