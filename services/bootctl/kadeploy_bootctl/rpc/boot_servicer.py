"""BootService: what each machine boots next."""

import grpc
from google.rpc import status_pb2

from kadeploy.bootctl.v1 import bootctl_service_pb2, bootctl_service_pb2_grpc
from kadeploy_bootctl.app import boot_entries, boot_logs
from kadeploy_bootctl.app.boot_entries import Requester
from kadeploy_bootctl.rpc.boot_entry_messages import entry_from_message, entry_message
from kadeploy_bootctl.rpc.boot_log_messages import boot_log_message, start_time
from kadeploy_bootctl.rpc.runtime import Runtime
from kadeploy_edge import page_token
from kadeploy_edge.caller import current_caller
from kadeploy_edge.errors import DomainError
from kadeploy_edge.page import filled_page
from kadeploy_edge.status import ok_status, to_status

DOMAIN = "bootctl.kadeploy"


class BootServicer(bootctl_service_pb2_grpc.BootServiceServicer):
    """The calls on boot entries."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def SetBootEntries(
        self, request: bootctl_service_pb2.SetBootEntriesRequest, context: grpc.ServicerContext
    ) -> bootctl_service_pb2.SetBootEntriesResponse:
        """Writes entries."""
        caller = current_caller.get()
        outcomes = boot_entries.set_boot_entries(
            [entry_from_message(entry) for entry in request.entries],
            requester=Requester(name=caller.name, is_administrator=self._runtime.is_administrator(caller)),
            entries=self._runtime.entries,
            files=self._runtime.files,
            images=self._runtime.images,
            site=self._runtime.site,
            clock=self._runtime.clock,
        )
        names = (entry.node.name for entry in request.entries)
        return bootctl_service_pb2.SetBootEntriesResponse(
            results=[_result(name, outcome) for name, outcome in zip(names, outcomes, strict=True)]
        )

    def GetBootEntry(
        self, request: bootctl_service_pb2.GetBootEntryRequest, context: grpc.ServicerContext
    ) -> bootctl_service_pb2.GetBootEntryResponse:
        """Shows one entry with its files."""
        written = boot_entries.get_boot_entry(request.node, entries=self._runtime.entries)
        return bootctl_service_pb2.GetBootEntryResponse(
            entry=entry_message(written.entry),
            files=[
                bootctl_service_pb2.RenderedFile(path=path, text=written.text)
                for path in self._runtime.entries.paths(written.entry.node)
            ],
        )

    def GetBootLog(
        self, request: bootctl_service_pb2.GetBootLogRequest, context: grpc.ServicerContext
    ) -> bootctl_service_pb2.GetBootLogResponse:
        """Returns what this host's servers have logged of a machine."""
        log = boot_logs.get_boot_log(
            request.mac_address, request.ip_address, since=start_time(request), logs=self._runtime.logs
        )
        return boot_log_message(log)

    def ListBootEntries(
        self, request: bootctl_service_pb2.ListBootEntriesRequest, context: grpc.ServicerContext
    ) -> bootctl_service_pb2.ListBootEntriesResponse:
        """Lists entries by node name."""
        binding = f"boot_entries {request.nodes}"
        limit = page_token.page_size(request.page_size)
        after = page_token.decode(request.page_token, binding=binding)
        found, more = boot_entries.list_boot_entries(
            request.nodes, after=str(after[0]) if after else "", limit=limit, entries=self._runtime.entries
        )
        page = filled_page(map(entry_message, found), limit=limit)
        token = page_token.encode([page[-1].node.name], binding=binding) if more or len(page) < len(found) else ""
        return bootctl_service_pb2.ListBootEntriesResponse(entries=page, next_page_token=token)

    def ClearBootEntries(
        self, request: bootctl_service_pb2.ClearBootEntriesRequest, context: grpc.ServicerContext
    ) -> bootctl_service_pb2.ClearBootEntriesResponse:
        """Removes entries."""
        results = boot_entries.clear_boot_entries(request.nodes, entries=self._runtime.entries)
        return bootctl_service_pb2.ClearBootEntriesResponse(
            results=[_result(name, outcome) for name, outcome in results]
        )

    def RenderBootEntries(
        self, request: bootctl_service_pb2.RenderBootEntriesRequest, context: grpc.ServicerContext
    ) -> bootctl_service_pb2.RenderBootEntriesResponse:
        """Shows the files of entries without writing them."""
        outcomes = boot_entries.render_boot_entries(
            [entry_from_message(entry) for entry in request.entries],
            entries=self._runtime.entries,
            files=self._runtime.files,
            site=self._runtime.site,
        )
        names = (entry.node.name for entry in request.entries)
        return bootctl_service_pb2.RenderBootEntriesResponse(
            entries=[_rendered(name, outcome) for name, outcome in zip(names, outcomes, strict=True)]
        )


def _result(name: str, outcome: DomainError | None) -> bootctl_service_pb2.BootEntryResult:
    return bootctl_service_pb2.BootEntryResult(node=name, status=_status(outcome))


def _rendered(name: str, outcome: DomainError | list[tuple[str, str]]) -> bootctl_service_pb2.RenderedEntry:
    if isinstance(outcome, DomainError):
        return bootctl_service_pb2.RenderedEntry(node=name, status=_status(outcome))
    files = [bootctl_service_pb2.RenderedFile(path=path, text=text) for path, text in outcome]
    return bootctl_service_pb2.RenderedEntry(node=name, status=ok_status(), files=files)


def _status(outcome: DomainError | None) -> status_pb2.Status:
    return to_status(outcome, domain=DOMAIN) if outcome else ok_status()
