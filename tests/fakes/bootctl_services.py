"""bootctl in memory behind the real contract: for tests of whoever calls it over gRPC."""

from typing import Any

import grpc

from kadeploy.bootctl.v1 import boot_entry_pb2, bootctl_service_pb2, bootctl_service_pb2_grpc
from kadeploy_edge.errors import Denied, Missing
from kadeploy_edge.status import ok_status, to_status
from kadeploy_nodeset import expand
from tests.fakes.inventory_services import paged

SERVICES = tuple(f"kadeploy.bootctl.v1.{name}" for name in ("BootService", "BootFileService", "TreeService"))


class BootEntryNotFound(Missing):
    reason = "BOOT_ENTRY_NOT_FOUND"


class AdministratorsOnly(Denied):
    reason = "ADMINISTRATORS_ONLY"


class BootctlServices(
    bootctl_service_pb2_grpc.BootServiceServicer,
    bootctl_service_pb2_grpc.BootFileServiceServicer,
    bootctl_service_pb2_grpc.TreeServiceServicer,
):
    """Entries and labels on dictionaries. `refused`: nodes whose entries nobody may write."""

    def __init__(self) -> None:
        self.entries: dict[str, boot_entry_pb2.BootEntry] = {}
        self.files: list[boot_entry_pb2.BootFile] = []
        self.findings: list[bootctl_service_pb2.TreeFinding] = []
        self.refused: set[str] = set()
        self.labels = [
            bootctl_service_pb2.KernelLabel(name="deploy", kernel="vmlinuz", initrd="initrd", arguments="quiet")
        ]

    def register(self, server: grpc.aio.Server) -> None:
        """Adds the services to a server."""
        bootctl_service_pb2_grpc.add_BootServiceServicer_to_server(self, server)
        bootctl_service_pb2_grpc.add_BootFileServiceServicer_to_server(self, server)
        bootctl_service_pb2_grpc.add_TreeServiceServicer_to_server(self, server)

    def SetBootEntries(self, request: Any, context: Any) -> Any:
        response = bootctl_service_pb2.SetBootEntriesResponse()
        for entry in request.entries:
            name = entry.node.name
            error = AdministratorsOnly("custom text is for administrators") if name in self.refused else None
            response.results.add(node=name, status=to_status(error, domain="bootctl") if error else ok_status())
            if error is None:
                self.entries[name] = entry
        return response

    def ClearBootEntries(self, request: Any, context: Any) -> Any:
        response = bootctl_service_pb2.ClearBootEntriesResponse()
        for name in expand(request.nodes):
            self.entries.pop(name, None)
            response.results.add(node=name, status=ok_status())
        return response

    def CheckTree(self, request: Any, context: Any) -> Any:
        return bootctl_service_pb2.CheckTreeResponse(findings=self.findings)

    def ReconcileTree(self, request: Any, context: Any) -> Any:
        response = bootctl_service_pb2.ReconcileTreeResponse(findings=self.findings)
        for finding in response.findings:
            finding.repaired = request.repair and finding.kind == bootctl_service_pb2.TREE_FINDING_KIND_CHANGED_FILE
        return response

    def ListBootFiles(self, request: Any, context: Any) -> Any:
        page, token = paged(self.files, lambda file: str(file.digest), request, "")
        return bootctl_service_pb2.ListBootFilesResponse(files=page, next_page_token=token)

    def DeleteUnusedBootFiles(self, request: Any, context: Any) -> Any:
        unused = [file for file in self.files if not file.reference_count]
        if not request.validate_only:
            self.files = [file for file in self.files if file.reference_count]
        return bootctl_service_pb2.DeleteUnusedBootFilesResponse(files=unused)

    def GetBootEntry(self, request: Any, context: Any) -> Any:
        if request.node not in self.entries:
            raise BootEntryNotFound(f"node {request.node} has no boot entry", metadata={"node": request.node})
        file = bootctl_service_pb2.RenderedFile(path="pxelinux.cfg/01-52", text="DEFAULT deploy\n")
        return bootctl_service_pb2.GetBootEntryResponse(entry=self.entries[request.node], files=[file])

    def ListBootEntries(self, request: Any, context: Any) -> Any:
        wanted = set(expand(request.nodes)) if request.nodes else set()
        rows = [entry for name, entry in self.entries.items() if not wanted or name in wanted]
        page, token = paged(rows, lambda entry: str(entry.node.name), request, request.nodes)
        return bootctl_service_pb2.ListBootEntriesResponse(entries=page, next_page_token=token)

    def ListLabels(self, request: Any, context: Any) -> Any:
        return bootctl_service_pb2.ListLabelsResponse(labels=self.labels)
