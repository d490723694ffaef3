"""Whether the files of an environment can be used, asked before a deployment is planned or created."""

import asyncio

from kadeploy_deployer.domain.errors import EnvironmentUnusable
from kadeploy_deployer.ports import ImageStore
from kadeploy_deployer.requests.deployment_request import Prepared
from kadeploy_deployer.steps.needed_files import unusable_file

CHECK_SECONDS = 20.0
"""A large image that nobody has read yet takes longer; its deployment reads it before it touches a node."""


async def check_files(prepared: Prepared, images: ImageStore) -> None:
    """Raises EnvironmentUnusable when a file that the nodes need cannot be used."""
    environment, resolution = prepared.resolution.environment, prepared.resolution
    if not prepared.included:
        # Without a node that would be deployed there is no right either to have the files opened.
        return
    clusters = {node.cluster for node in prepared.included.values()}
    archives = [environment.preinstall or resolution.profiles[name].preinstall for name in sorted(clusters)]
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            found = await unusable_file(
                environment,
                method=prepared.spec.boot_method,
                preinstalls=dict.fromkeys(archive for archive in archives if archive),
                images=images,
                user=prepared.owner,
            )
    except TimeoutError:
        return
    if found is not None:
        raise EnvironmentUnusable(environment.name, environment.version, str(found.error))
