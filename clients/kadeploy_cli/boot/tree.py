"""The TFTP host as a whole: what is wrong with its tree, what machines fetch from it, and what nobody needs."""

from collections.abc import Sequence

from kadeploy.bootctl.v1 import boot_entry_pb2, bootctl_service_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.plain import plain, word


def show_check(session: Session) -> ExitCode:
    """Prints what keeps machines from booting; the exit status tells whether something does."""
    request = bootctl_service_pb2.CheckTreeRequest()
    return _show_findings(session, session.bootctl.call(session.bootctl.tree.CheckTree, request).findings)


def reconcile(session: Session, *, repair: bool) -> ExitCode:
    """Compares the tree with what was written, repairs it if that is wanted, and prints the differences."""
    request = bootctl_service_pb2.ReconcileTreeRequest(repair=repair)
    return _show_findings(session, session.bootctl.call(session.bootctl.tree.ReconcileTree, request).findings)


def _show_findings(session: Session, findings: Sequence[bootctl_service_pb2.TreeFinding]) -> ExitCode:
    output.show(
        session.form,
        columns=("KIND", "PATH", "WHAT TO DO"),
        rows=[(_kind(one), one.path, "repaired" if one.repaired else one.description) for one in findings],
        data=[plain(one) for one in findings],
        names=[one.path for one in findings],
    )
    if not findings:
        output.say("the tree is as it should be")
    return ExitCode.OK if all(one.repaired for one in findings) else ExitCode.FAILED


def _kind(finding: bootctl_service_pb2.TreeFinding) -> str:
    return word(bootctl_service_pb2.TreeFindingKind.DESCRIPTOR, finding.kind).replace("_", " ")


def show_files(session: Session) -> ExitCode:
    """Prints the uploaded files, and how many entries name each."""
    bootctl = session.bootctl
    request = bootctl_service_pb2.ListBootFilesRequest()
    _show_files(session, list(bootctl.pages(bootctl.files.ListBootFiles, request, lambda page: page.files)))
    return ExitCode.OK


def collect(session: Session, *, dry_run: bool) -> ExitCode:
    """Removes the files that no entry names and that nobody wanted within the last hour, and prints them."""
    request = bootctl_service_pb2.DeleteUnusedBootFilesRequest(validate_only=dry_run)
    removed = session.bootctl.call(session.bootctl.files.DeleteUnusedBootFiles, request).files
    _show_files(session, removed)
    output.say(f"{len(removed)} {'file' if len(removed) == 1 else 'files'} {'would be ' if dry_run else ''}removed")
    return ExitCode.OK


def _show_files(session: Session, files: Sequence[boot_entry_pb2.BootFile]) -> None:
    output.show(
        session.form,
        columns=("DIGEST", "SIZE", "ENTRIES", "SINCE", "DESCRIPTION"),
        rows=[
            (
                one.digest,
                output.size(one.size_bytes),
                str(one.reference_count),
                output.local_time(one.create_time),
                one.description,
            )
            for one in files
        ],
        data=[plain(one) for one in files],
        names=[one.digest for one in files],
    )
