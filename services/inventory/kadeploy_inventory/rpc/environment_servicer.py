"""EnvironmentService: convert, call, convert."""

from dataclasses import replace

import grpc

from kadeploy.inventory.v1 import (
    environment_pb2,
    inventory_service_pb2,
    inventory_service_pb2_grpc,
)
from kadeploy_edge.caller import current_caller
from kadeploy_edge.errors import FieldViolation
from kadeploy_inventory.app import environments
from kadeploy_inventory.app.environments import Asker
from kadeploy_inventory.app.ports import Runtime
from kadeploy_inventory.domain.cluster import EnvironmentReference
from kadeploy_inventory.domain.environment import Environment
from kadeploy_inventory.domain.errors import ImmutableField, InvalidEnvironment
from kadeploy_inventory.domain.script_archive import ScriptArchive
from kadeploy_inventory.rpc.environment_messages import (
    environment_from_message,
    environment_to_message,
    reference_from_message,
)
from kadeploy_inventory.rpc.paging import cut
from kadeploy_inventory.rpc.update_mask import FIELD

PORTION = 50
"""Environments that are read at once: one may have 100 KiB."""
CHANGEABLE = (
    "visibility",
    "destructive",
    "image.digest",
    "preinstall.digest",
    "postinstalls",
    # Where the files are. Their digests stay, so it is the same content in another place.
    "image.uri",
    "preinstall.uri",
    "postinstalls.uri",
)


class EnvironmentServicer(inventory_service_pb2_grpc.EnvironmentServiceServicer):
    """The systems that can be installed."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def RecordEnvironment(
        self,
        request: inventory_service_pb2.RecordEnvironmentRequest,
        context: grpc.ServicerContext,
    ) -> environment_pb2.Environment:
        """Records a version."""
        description, asker = environment_from_message(request.environment), self._asker()
        environment = self._runtime.store.change_deploy(
            lambda work: environments.record_environment(
                description,
                validate_only=request.validate_only,
                asker=asker,
                quota=self._runtime.environment_quota,
                work=work,
                clock=self._runtime.clock,
                make_id=self._runtime.make_id,
            )
        )
        return environment_to_message(environment)

    def GetEnvironment(
        self, request: inventory_service_pb2.GetEnvironmentRequest, context: grpc.ServicerContext
    ) -> environment_pb2.Environment:
        """Returns the environment that the reference means to the caller."""
        reference, asker = reference_from_message(request.environment), self._asker()
        environment = self._runtime.store.read(
            lambda work: environments.get_environment(reference, asker=asker, work=work)
        )
        return environment_to_message(environment)

    def ListEnvironments(
        self,
        request: inventory_service_pb2.ListEnvironmentsRequest,
        context: grpc.ServicerContext,
    ) -> inventory_service_pb2.ListEnvironmentsResponse:
        """Lists what the caller may use."""
        wanted, asker = request.filter, self._asker()
        page, token = cut(
            lambda after, limit: self._runtime.store.read(
                lambda work: environments.list_environments(
                    name=wanted.name,
                    owner=wanted.owner,
                    cluster=wanted.cluster,
                    latest=wanted.latest,
                    asker=asker,
                    after=after,
                    limit=limit,
                    work=work,
                )
            ),
            size=request.page_size,
            token=request.page_token,
            binding=(
                f"environments name={wanted.name} owner={wanted.owner} cluster={wanted.cluster} latest={wanted.latest}"
            ),
            key=lambda each: (each.name, each.owner, each.version),
            message=environment_to_message,
            portion=PORTION,
        )
        return inventory_service_pb2.ListEnvironmentsResponse(environments=page, next_page_token=token)

    def UpdateEnvironment(
        self,
        request: inventory_service_pb2.UpdateEnvironmentRequest,
        context: grpc.ServicerContext,
    ) -> environment_pb2.Environment:
        """Changes visibility and digests."""
        paths = frozenset(request.update_mask.paths)
        _check_paths(paths)
        wanted, asker = environment_from_message(request.environment), self._asker()
        reference = EnvironmentReference(name=wanted.name, version=wanted.version or None, owner=wanted.owner)
        environment = self._runtime.store.change_deploy(
            lambda work: environments.update_environment(
                reference,
                etag=request.environment.etag,
                change=lambda present: _changed(present, wanted, paths),
                asker=asker,
                work=work,
                make_id=self._runtime.make_id,
            )
        )
        return environment_to_message(environment)

    def DeleteEnvironment(
        self,
        request: inventory_service_pb2.DeleteEnvironmentRequest,
        context: grpc.ServicerContext,
    ) -> inventory_service_pb2.DeleteEnvironmentResponse:
        """Removes one version or all."""
        reference, asker = reference_from_message(request.environment), self._asker()
        versions = self._runtime.store.change_deploy(
            lambda work: environments.delete_environment(reference, asker=asker, work=work), frees=True
        )
        return inventory_service_pb2.DeleteEnvironmentResponse(versions=versions)

    def _asker(self) -> Asker:
        caller = current_caller.get()
        administrator = caller.user in self._runtime.administrators
        return Asker(
            user=caller.user,
            is_administrator=administrator,
            sees_all=administrator or caller.is_service,
        )


def _check_paths(paths: frozenset[str]) -> None:
    if not paths:
        violation = FieldViolation(field=FIELD, description="must name the fields to change")
        raise InvalidEnvironment.of("the update cannot be accepted", [violation])
    for path in sorted(paths.difference(CHANGEABLE)):
        description = f"names {path}; of a recorded version only {', '.join(CHANGEABLE)} change"
        raise ImmutableField.of("the update", [FieldViolation(field=FIELD, description=description)])


def _changed(present: Environment, wanted: Environment, paths: frozenset[str]) -> Environment:
    """Returns the environment with the places, digests, visibility and destructive flag that are wanted.

    The size of a file comes with its digest, where it is given: both are said of the same bytes.
    """
    changed = _moved(present, wanted, paths)
    present = changed
    if "visibility" in paths:
        changed = replace(changed, visibility=wanted.visibility)
    if "destructive" in paths:
        changed = replace(changed, destructive=wanted.destructive)
    if "image.digest" in paths:
        size = wanted.image.size_bytes or present.image.size_bytes
        image = replace(present.image, digest=wanted.image.digest, size_bytes=size)
        changed = replace(changed, image=image)
    if "preinstall.digest" in paths:
        if present.preinstall is None or wanted.preinstall is None:
            violation = FieldViolation(field="environment.preinstall", description="is not there")
            raise InvalidEnvironment.of("the update cannot be accepted", [violation])
        size = wanted.preinstall.size_bytes or present.preinstall.size_bytes
        archive = replace(present.preinstall, digest=wanted.preinstall.digest, size_bytes=size)
        changed = replace(changed, preinstall=archive)
    if "postinstalls" in paths:
        changed = replace(changed, postinstalls=_redigested(present, wanted))
    return changed


def _moved(present: Environment, wanted: Environment, paths: frozenset[str]) -> Environment:
    """Returns the environment with its files where they are now."""
    moved = present
    if "image.uri" in paths:
        moved = replace(moved, image=replace(present.image, uri=wanted.image.uri))
    if "preinstall.uri" in paths and present.preinstall and wanted.preinstall:
        moved = replace(moved, preinstall=replace(present.preinstall, uri=wanted.preinstall.uri))
    if "postinstalls.uri" in paths:
        if len(present.postinstalls) != len(wanted.postinstalls):
            violation = FieldViolation(field="environment.postinstalls", description="keep their number and order")
            raise ImmutableField.of("the update", [violation])
        pairs = zip(present.postinstalls, wanted.postinstalls, strict=True)
        moved = replace(moved, postinstalls=tuple(replace(old, uri=new.uri) for old, new in pairs))
    return moved


def _redigested(present: Environment, wanted: Environment) -> tuple[ScriptArchive, ...]:
    if [each.uri for each in present.postinstalls] != [each.uri for each in wanted.postinstalls]:
        description = "change in their digests alone: the same URIs in the same order"
        violation = FieldViolation(field="environment.postinstalls", description=description)
        raise ImmutableField.of("the update", [violation])
    return tuple(
        replace(old, digest=new.digest, size_bytes=new.size_bytes or old.size_bytes)
        for old, new in zip(present.postinstalls, wanted.postinstalls, strict=True)
    )
