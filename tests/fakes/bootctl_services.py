"""bootctl in memory behind the real contract: for tests of whoever calls it over gRPC."""

from typing import Any

import grpc
from ClusterShell.NodeSet import NodeSet

from kadeploy.bootctl.v1 import boot_entry_pb2, bootctl_service_pb2, bootctl_service_pb2_grpc
from kadeploy_rpckit.errors import Missing
from tests.fakes.inventory_services import paged

SERVICES = ("kadeploy.bootctl.v1.BootService", "kadeploy.bootctl.v1.TreeService")


class BootEntryNotFound(Missing):
    reason = "BOOT_ENTRY_NOT_FOUND"


class BootctlServices(bootctl_service_pb2_grpc.BootServiceServicer, bootctl_service_pb2_grpc.TreeServiceServicer):
    """Entries and labels on dictionaries."""

    def __init__(self) -> None:
        self.entries: dict[str, boot_entry_pb2.BootEntry] = {}
        self.labels = [
            bootctl_service_pb2.KernelLabel(name="deploy", kernel="vmlinuz", initrd="initrd", arguments="quiet")
        ]

    def register(self, server: grpc.Server) -> None:
        """Adds the services to a server."""
        bootctl_service_pb2_grpc.add_BootServiceServicer_to_server(self, server)
        bootctl_service_pb2_grpc.add_TreeServiceServicer_to_server(self, server)

    def GetBootEntry(self, request: Any, context: Any) -> Any:
        if request.node not in self.entries:
            raise BootEntryNotFound(f"node {request.node} has no boot entry", metadata={"node": request.node})
        file = bootctl_service_pb2.RenderedFile(path="pxelinux.cfg/01-52", text="DEFAULT deploy\n")
        return bootctl_service_pb2.GetBootEntryResponse(entry=self.entries[request.node], files=[file])

    def ListBootEntries(self, request: Any, context: Any) -> Any:
        wanted = set(NodeSet(request.nodes))
        rows = [entry for name, entry in self.entries.items() if not wanted or name in wanted]
        page, token = paged(rows, lambda entry: str(entry.node.name), request, request.nodes)
        return bootctl_service_pb2.ListBootEntriesResponse(entries=page, next_page_token=token)

    def ListLabels(self, request: Any, context: Any) -> Any:
        return bootctl_service_pb2.ListLabelsResponse(labels=self.labels)
