"""Pre- and post-install archives: unpacked, run, told."""

from kadeploy_deployer.domain.snapshot import ArchiveSnapshot
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.domain.vocabulary import Compression
from kadeploy_deployer.ports import CommandTimedOut
from kadeploy_deployer.steps.postinstall import POSTINSTALL
from kadeploy_deployer.steps.preinstall import PREINSTALL
from kadeploy_deployer.steps.step import StepContext
from tests.fakes import snapshots
from tests.fakes.scripted_remote_shell import Ran
from tests.fakes.step_workshop import Workshop, failure, outcome

CONTENT = b"an archive " * 100_000
UNPACK = ("tar", "--extract", "--gzip", "--file", "-", "--directory", "/rambin")


def archive(workshop: Workshop, name: str, script: str = "traitement.ash", content: bytes = CONTENT) -> ArchiveSnapshot:
    file = workshop.images.add(f"file:///{name}.tgz", content, compression=Compression.GZIP)
    return ArchiveSnapshot(file=file, script=script)


def after(workshop: Workshop, *archives: ArchiveSnapshot) -> StepContext:
    return workshop.context(environment=snapshots.an_environment(workshop.image, postinstalls=archives, options="-x"))


def without_clearing(workshop: Workshop) -> list[tuple[str, ...]]:
    """Returns what ran on the node but for what ends earlier runs."""
    return [words for words in workshop.shell.commands("node-1") if "end-earlier-run" not in words]


async def test_archives_are_unpacked_and_run_in_order(workshop: Workshop) -> None:
    context = after(workshop, archive(workshop, "a", "first"), archive(workshop, "b", "sub/second", b"b"))
    assert await outcome(POSTINSTALL, context) is None
    assert without_clearing(workshop) == [
        UNPACK,
        ("/rambin/first", "/rambin"),
        UNPACK,
        ("/rambin/sub/second", "/rambin"),
    ]
    assert [ran.stdin for ran in workshop.shell.ran if ran.arguments == UNPACK] == [CONTENT, b"b"]


async def test_an_earlier_run_of_the_same_script_is_ended_first_and_no_other(workshop: Workshop) -> None:
    context = after(workshop, archive(workshop, "a", "first"), archive(workshop, "b", "second", b"b"))
    assert await outcome(POSTINSTALL, context) is None
    ended = [words[-1] for words in workshop.shell.commands("node-1") if "end-earlier-run" in words]
    runs = [ran.environment["KADEPLOY_RUN"] for ran in workshop.shell.ran if "KADEPLOY_RUN" in ran.environment]
    assert ended == [f"KADEPLOY_RUN={run}" for run in runs]
    assert len(set(runs)) == 2


async def test_scripts_know_where_they_are(workshop: Workshop) -> None:
    assert await outcome(POSTINSTALL, after(workshop, archive(workshop, "a"))) is None
    variables = workshop.shell.ran[-1].environment
    assert variables["KADEPLOY_NODE"] == "node-1"
    assert variables["KADEPLOY_DEPLOY_PART"] == "/dev/vda3"
    assert variables["KADEPLOY_BLOCK_DEVICE"] == "/dev/vda"
    assert variables["KADEPLOY_DEPLOY_PART_NUM"] == "3"
    assert variables["KADEPLOY_SWAP_PART_NUM"] == "1"
    assert variables["KADEPLOY_TMP_PART_NUM"] == "2"
    assert variables["KADEPLOY_PROD_PART_NUM"] == ""
    assert variables["KADEPLOY_ENV_EXTRACTION_DIR"] == "/mnt/dest"
    assert variables["KADEPLOY_PREPOST_EXTRACTION_DIR"] == "/rambin"
    assert variables["KADEPLOY_ENV_KERNEL_PARAMS"] == "console=ttyS0 rw"
    assert variables["KADEPLOY_ENV_OPTIONS"] == "-x"
    assert variables["KADEPLOY_PART_TYPE"] == "83"


async def test_a_failing_script_fails_its_node_with_its_last_words(workshop: Workshop) -> None:
    workshop.shell.answer("/rambin/traitement.ash", exit_status=3, stdout="working\n", stderr="hm\nno such user\n\n")
    failed = await failure(POSTINSTALL, after(workshop, archive(workshop, "a"), archive(workshop, "b")))
    assert failed.reason is FailureReason.POSTINSTALL_FAILED
    assert failed.description == "traitement.ash on node-1 failed: exit 3: no such user"
    assert workshop.recorder.outputs == [("node-1", "postinstall", "working\nhm\nno such user\n\n")]
    assert workshop.shell.commands("node-1").count(UNPACK) == 1


async def test_an_archive_may_come_without_a_script(workshop: Workshop) -> None:
    assert await outcome(POSTINSTALL, after(workshop, archive(workshop, "a", "none"))) is None
    assert workshop.shell.commands("node-1") == [UNPACK]


async def test_a_script_cannot_lie_outside_its_archive(workshop: Workshop) -> None:
    for script in ("/bin/true", "../bin/true"):
        failed = await failure(POSTINSTALL, after(workshop, archive(workshop, "a", script)))
        assert "has to be a path inside its archive" in failed.description


async def test_an_archive_that_does_not_unpack_is_told(workshop: Workshop) -> None:
    workshop.shell.answer("tar", exit_status=2, stderr="gzip: stdin: not in gzip format\ntar: Error is not recoverable")
    failed = await failure(POSTINSTALL, after(workshop, archive(workshop, "a")))
    assert failed.description == ("unpacking file:///a.tgz on node-1 failed: exit 2: tar: Error is not recoverable")


async def test_a_script_without_an_end_is_told(workshop: Workshop) -> None:
    workshop.shell.answer("/rambin/traitement.ash", error=CommandTimedOut("'x' on node-1 did not end within 600 s"))
    failed = await failure(POSTINSTALL, after(workshop, archive(workshop, "a")))
    assert failed.reason is FailureReason.POSTINSTALL_FAILED
    assert failed.description == "'x' on node-1 did not end within 600 s"


async def test_an_archive_that_changed_is_told(workshop: Workshop) -> None:
    changed = archive(workshop, "a")
    workshop.images.paths[changed.file.uri].write_bytes(b"changed")
    failed = await failure(POSTINSTALL, after(workshop, changed))
    assert (failed.reason, failed.retriable) == (FailureReason.DIGEST_MISMATCH, False)


async def test_an_archive_that_its_owner_changes_after_the_proof_is_not_run(workshop: Workshop) -> None:
    changed = archive(workshop, "a")

    def change(ran: Ran) -> None:
        if "end-earlier-run" in ran.arguments:
            workshop.images.paths[changed.file.uri].write_bytes(b"AN ARCHIVE " * 100_000)

    workshop.shell.handler = change
    failed = await failure(POSTINSTALL, after(workshop, changed))
    assert (failed.reason, failed.retriable) == (FailureReason.DIGEST_MISMATCH, False)
    assert failed.description.endswith("file:///a.tgz was changed while it was being sent")
    assert without_clearing(workshop) == []


async def test_an_archive_is_fetched_for_the_owner_of_the_deployment(workshop: Workshop) -> None:
    assert await outcome(POSTINSTALL, after(workshop, archive(workshop, "a"))) is None
    assert workshop.images.users == ["alice"]


async def test_the_environment_s_preinstall_goes_before_the_profile_s(workshop: Workshop) -> None:
    own, shared = archive(workshop, "own", "own.ash"), archive(workshop, "shared", "shared.ash")
    profiles = {"default": snapshots.a_profile(preinstall=shared)}
    assert await outcome(PREINSTALL, workshop.context(profiles=profiles)) is None
    environment = snapshots.an_environment(workshop.image, preinstall=own)
    assert await outcome(PREINSTALL, workshop.context(profiles=profiles, environment=environment)) is None
    ran = [words[0] for words in without_clearing(workshop) if words != UNPACK]
    assert ran == ["/rambin/shared.ash", "/rambin/own.ash"]


async def test_a_failing_preinstall_is_told(workshop: Workshop) -> None:
    workshop.shell.answer("/rambin/init.ash", exit_status=1)
    profiles = {"default": snapshots.a_profile(preinstall=archive(workshop, "a", "init.ash"))}
    failed = await failure(PREINSTALL, workshop.context(profiles=profiles))
    assert failed.reason is FailureReason.PREINSTALL_FAILED
    assert failed.description == "init.ash on node-1 failed: exit 1 without a word"


def test_without_an_archive_there_is_nothing_to_do(workshop: Workshop) -> None:
    context = workshop.context()
    assert not PREINSTALL.applies(context, "node-1")
    assert not POSTINSTALL.applies(context, "node-1")
