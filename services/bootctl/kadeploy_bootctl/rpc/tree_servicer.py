"""TreeService: the TFTP tree itself."""

from collections.abc import Iterable

import grpc

from kadeploy.bootctl.v1 import bootctl_service_pb2, bootctl_service_pb2_grpc
from kadeploy_bootctl.domain.finding import Finding, FindingKind
from kadeploy_bootctl.rpc.runtime import Runtime

_KINDS = {
    FindingKind.MISSING_LOADER: bootctl_service_pb2.TREE_FINDING_KIND_MISSING_LOADER,
    FindingKind.MISSING_DIRECTORY: bootctl_service_pb2.TREE_FINDING_KIND_MISSING_DIRECTORY,
    FindingKind.NOT_WRITABLE: bootctl_service_pb2.TREE_FINDING_KIND_NOT_WRITABLE,
    FindingKind.MISSING_FILE: bootctl_service_pb2.TREE_FINDING_KIND_MISSING_FILE,
    FindingKind.CHANGED_FILE: bootctl_service_pb2.TREE_FINDING_KIND_CHANGED_FILE,
    FindingKind.UNKNOWN_FILE: bootctl_service_pb2.TREE_FINDING_KIND_UNKNOWN_FILE,
    FindingKind.LITTLE_SPACE: bootctl_service_pb2.TREE_FINDING_KIND_LITTLE_SPACE,
    FindingKind.UNSAFE_PERMISSIONS: bootctl_service_pb2.TREE_FINDING_KIND_UNSAFE_PERMISSIONS,
}


class TreeServicer(bootctl_service_pb2_grpc.TreeServiceServicer):
    """The calls on the tree as a whole."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def CheckTree(
        self, request: bootctl_service_pb2.CheckTreeRequest, context: grpc.ServicerContext
    ) -> bootctl_service_pb2.CheckTreeResponse:
        """Verifies the tree."""
        return bootctl_service_pb2.CheckTreeResponse(findings=_messages(self._runtime.inspector.check()))

    def ReconcileTree(
        self, request: bootctl_service_pb2.ReconcileTreeRequest, context: grpc.ServicerContext
    ) -> bootctl_service_pb2.ReconcileTreeResponse:
        """Compares the tree with what it should be."""
        findings = self._runtime.inspector.reconcile(repair=request.repair)
        return bootctl_service_pb2.ReconcileTreeResponse(findings=_messages(findings))

    def ListLabels(
        self, request: bootctl_service_pb2.ListLabelsRequest, context: grpc.ServicerContext
    ) -> bootctl_service_pb2.ListLabelsResponse:
        """Lists the deployment kernels."""
        return bootctl_service_pb2.ListLabelsResponse(
            labels=[
                bootctl_service_pb2.KernelLabel(
                    name=label.name, kernel=label.kernel, initrd=label.initrd, arguments=label.arguments
                )
                for _, label in sorted(self._runtime.site.labels.items())
            ]
        )


def _messages(findings: Iterable[Finding]) -> list[bootctl_service_pb2.TreeFinding]:
    return [
        bootctl_service_pb2.TreeFinding(
            kind=_KINDS[finding.kind],
            path=finding.path,
            description=finding.description,
            repaired=finding.repaired,
        )
        for finding in findings
    ]
