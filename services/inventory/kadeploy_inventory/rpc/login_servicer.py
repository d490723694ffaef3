"""LoginService: convert, call, convert."""

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_edge.caller import current_caller
from kadeploy_inventory.app import logins
from kadeploy_inventory.app.ports import Runtime
from kadeploy_inventory.domain.login import IssuedLogin, KnownUser


class LoginServicer(inventory_service_pb2_grpc.LoginServiceServicer):
    """Certificates of a few hours for users whom the site knows."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def IssueByMunge(
        self, request: inventory_service_pb2.IssueByMungeRequest, context: grpc.ServicerContext
    ) -> inventory_service_pb2.IssueByMungeResponse:
        """Issues a certificate to the user whom a MUNGE credential names."""
        user, issued = logins.issue_by_munge(
            request.certificate_request, request.credential, request.user, runtime=self._runtime
        )
        return inventory_service_pb2.IssueByMungeResponse(certificate=_to_message(user, issued))

    def IssueByAgent(
        self, request: inventory_service_pb2.IssueByAgentRequest, context: grpc.ServicerContext
    ) -> inventory_service_pb2.IssueByAgentResponse:
        """Issues a certificate to a user whom the agent of a login host knows."""
        host = current_caller.get().login_host
        user = KnownUser(name=request.user, uid=request.uid, known_by=f"agent uid={request.uid} host={host}")
        issued = logins.issue_by_agent(request.certificate_request, user, runtime=self._runtime)
        return inventory_service_pb2.IssueByAgentResponse(certificate=_to_message(user, issued))


def _to_message(user: KnownUser, issued: IssuedLogin) -> inventory_service_pb2.LoginCertificate:
    end_time = Timestamp()
    end_time.FromDatetime(issued.end_time)
    return inventory_service_pb2.LoginCertificate(
        user=user.name, known_by=user.known_by, serial=issued.serial, end_time=end_time, chain=issued.chain
    )
