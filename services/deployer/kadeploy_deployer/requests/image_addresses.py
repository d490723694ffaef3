"""Where the files of a deployment are: asked before a node is touched, for the answer needs no file to be opened."""

from collections.abc import Iterator

from kadeploy_deployer.domain.errors import InvalidDeployment
from kadeploy_deployer.domain.snapshot import FileSnapshot
from kadeploy_deployer.ports import ImageError, ImageStore
from kadeploy_deployer.requests.deployment_request import Prepared
from kadeploy_edge.errors import FieldViolation


def check_addresses(prepared: Prepared, images: ImageStore) -> None:
    """Raises InvalidDeployment if a file of the deployment is where the site has nothing fetched from."""
    environment = prepared.resolution.environment
    for file in _files(prepared):
        try:
            images.check(file)
        except ImageError as error:
            text = f"names {environment.name} version {environment.version}, which cannot be deployed here: {error}"
            violation = FieldViolation(field="spec.environment_name", description=text)
            raise InvalidDeployment([violation]) from None


def _files(prepared: Prepared) -> Iterator[FileSnapshot]:
    """Yields the files that the nodes which can take part would be given."""
    environment, included = prepared.resolution.environment, prepared.included
    if not included:
        return
    yield environment.image
    yield from (archive.file for archive in environment.postinstalls)
    for cluster in dict.fromkeys(node.cluster for node in included.values()):
        preinstall = environment.preinstall or prepared.resolution.profiles[cluster].preinstall
        if preinstall is not None:
            yield preinstall.file
